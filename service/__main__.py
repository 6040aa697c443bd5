"""`python -m service` is the command `digits`."""

import sys

from service.cli.main import main

sys.exit(main())
