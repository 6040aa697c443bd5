"""The server process: uvicorn with worker processes, HTTP/1.1, slow-client (Slowloris) timeouts, graceful shutdown."""
