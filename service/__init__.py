"""The digit classifier service: what runs in production. It never imports scikit-learn or `training`."""
