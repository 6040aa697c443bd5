"""The base class of all errors of the package `training`. Their messages are for a person at a shell."""


class TrainingError(Exception):
    """Base of the errors that `digits-train` reports in one line."""
