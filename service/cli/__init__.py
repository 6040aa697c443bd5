"""The command `digits`."""
