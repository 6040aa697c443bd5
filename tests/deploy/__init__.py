"""Tests of what runs the service on more than one machine."""
