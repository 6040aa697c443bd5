"""HTTP only: one module a family of paths, with its schemas. Each handler delegates in a few lines."""
