"""The network: weights, calibration, out-of-distribution score, verdict, attribution, and the model file."""
