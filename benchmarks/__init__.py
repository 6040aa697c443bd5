"""Speed and robustness, measured by hand and reported; never part of the tests."""
