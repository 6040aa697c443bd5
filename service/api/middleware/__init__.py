"""What happens around every request, as plain ASGI, one concern a module."""
