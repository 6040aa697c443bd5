"""Tests of deploy: Kubernetes and Ray."""
