"""Tests of service.api.v2."""
