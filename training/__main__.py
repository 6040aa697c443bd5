"""`python -m training` is the command `digits-train`."""

import sys


def main() -> int:
    """Run the command, or say what to install where the extra `train` is missing."""
    try:
        from training import cli  # noqa: PLC0415 - what it imports may be missing
    except ModuleNotFoundError as error:
        print(f"digits-train: {error.name} is missing: pip install 'digits-service[train]'", file=sys.stderr)  # noqa: T201
        return 1
    return cli.main()


if __name__ == "__main__":  # The process that bends digits imports this module too.
    sys.exit(main())
