"""Interfaces to the operating system: logging, malloc, CPU count, SIGTERM. Imports no other package of the service."""
