"""The command `digits-train` as it is installed: it says what to install where the extra `train` is missing."""

import sys


def main() -> int:
    """Run `training.cli`; without what that imports, print one line and return 1."""
    try:
        from training import cli  # noqa: PLC0415 - what it imports may be missing
    except ModuleNotFoundError as error:
        print(f"digits-train: {error.name} is missing: pip install 'digits-service[train]'", file=sys.stderr)  # noqa: T201
        return 1
    return cli.main()
