"""HTTP only: requests enter, responses leave. Classification is out of scope (`service.classifier`)."""
