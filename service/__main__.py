"""`python -m service` is the command `digits`."""

import sys

from service.cli import main

sys.exit(main())
