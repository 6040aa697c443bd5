"""The digit classifier service: what runs in production. It never imports scikit-learn or `training`."""

__version__ = "0.2.0"
