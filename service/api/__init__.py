"""HTTP alone: requests in, responses out. What is answered is decided by `service.classifier`."""
