"""The entry point of the command `digits-train`. It reports a missing extra `train`, and calls `training.cli`."""

import sys


def main() -> int:
    """Run `training.cli` and return its exit status. Prints one line and returns 1 if a dependency is missing."""
    try:
        from training import cli  # noqa: PLC0415 - its dependencies may be missing
    except ModuleNotFoundError as error:
        print(f"digits-train: {error.name} is missing: pip install 'digits-service[train]'", file=sys.stderr)  # noqa: T201
        return 1
    return cli.main()
