"""The one error of all training: what went wrong and what to do, for a person at a shell."""


class TrainingError(Exception):
    """Base of what `digits-train` reports in one line."""
