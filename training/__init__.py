"""Offline training: fits scikit-learn's MLPClassifier on MNIST, and writes the model file that `service` serves."""
