"""Cross-cutting concerns of every request as plain ASGI middleware, one concern per module."""
