"""What runs offline: fits scikit-learn's MLPClassifier on MNIST and writes the artifact that `service` serves."""
