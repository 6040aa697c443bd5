"""`python -m training` is the command `digits-train`."""

import sys

from training.command import main

if __name__ == "__main__":  # The worker process of `training.fitting` imports this module too.
    sys.exit(main())
