"""Benchmarks of speed, robustness and accuracy, run by hand. They are not part of the tests."""
