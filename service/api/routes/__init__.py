"""HTTP routes, one module per family of paths, with its schemas. Handlers delegate everything that is not HTTP."""
