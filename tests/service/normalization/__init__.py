"""Tests of service.normalization."""
