"""Tests of service.model."""
