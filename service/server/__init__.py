"""The server process: uvicorn, HTTP/1.1, timeouts for slow clients, workers."""
