"""The network: its weights, its calibrated probabilities and verdicts, its explanation, and the file it comes from."""
