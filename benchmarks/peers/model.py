"""A scikit-learn network of the bundled model's shape. Its weights are arbitrary, which does not affect its speed."""

import json
from pathlib import Path

import numpy as np
from sklearn.neural_network import MLPClassifier

_MODEL = Path(__file__).parents[2] / "models" / "digits.safetensors"


def classifier() -> MLPClassifier:
    """Return a fitted classifier. Its inputs are float32 (n, 784), its classes 0 to 9."""
    rng = np.random.default_rng(0)
    fitted = MLPClassifier(_hidden(), random_state=0)
    fitted.partial_fit(rng.random((20, 784), np.float32), np.arange(20) % 10, classes=np.arange(10))
    return fitted


def _hidden() -> list[int]:
    """Return the number of units of each hidden layer, from the safetensors header of the model file."""
    content = _MODEL.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    weights = sorted(name for name in header if name.startswith("layers.") and name.endswith(".weights"))
    return [header[name]["shape"][1] for name in weights[:-1]]
