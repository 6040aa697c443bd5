"""Tests of service.images."""
