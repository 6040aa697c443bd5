"""Model files of other libraries: fitted MLPClassifier <-> ONNX and skops.

No pickle: skops loads types that it knows, and nothing else.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import skops.io
from skl2onnx import to_onnx
from sklearn.neural_network import MLPClassifier
from skops.io.exceptions import UntrustedTypesFoundException

from service.types import PIXELS
from training.export import ExportError
from training.pen import write

# float32 sums differ in the last digits between libraries.
_TOLERANCE = 1e-5


def to_onnx_bytes(classifier: MLPClassifier) -> bytes:
    """Return an ONNX file: input `X` float32 (n, 784), outputs `label` and `probabilities` (n, n_classes).

    Raises ExportError when onnxruntime does not answer it as scikit-learn does, to 1e-5.
    """
    probe = write(50, np.random.default_rng(0)).images.reshape(-1, PIXELS) / np.float32(255)
    content: bytes = to_onnx(classifier, probe[:1], options={"zipmap": False}).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (answer,) = session.run(["probabilities"], {"X": probe})
    deviation = float(np.abs(answer - classifier.predict_proba(probe)).max())
    if not deviation <= _TOLERANCE:  # nor is it when it is not a number
        message = f"onnxruntime answers up to {deviation:.1e} off scikit-learn's probabilities"
        raise ExportError(message)
    return content


def to_skops_bytes(classifier: MLPClassifier) -> bytes:
    """Return a skops file that loads without trusting any type."""
    content: bytes = skops.io.dumps(classifier)
    return content


def from_skops(path: Path) -> MLPClassifier:
    """Read a classifier from a skops file. Raises ExportError when it is none for 28x28 pictures, or not to be trusted.

    A scikit-learn other than that which wrote it may read it differently: the caller should measure it.
    """
    try:
        classifier = skops.io.loads(path.read_bytes())
    except UntrustedTypesFoundException as error:
        message = f"{path} holds types that could do anything when loaded: {error}; `del model._optimizer` often helps"
        raise ExportError(message) from error
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise ExportError(message) from error
    except Exception as error:
        # A foreign file fails in as many ways as there are layers: zip, JSON, schema, constructors.
        message = f"{path} is no skops file, or is damaged: {error}"
        raise ExportError(message) from error
    if not isinstance(classifier, MLPClassifier):
        message = f"{path} holds a {type(classifier).__name__}, not an MLPClassifier"
        raise ExportError(message)
    if getattr(classifier, "n_features_in_", None) != PIXELS or not hasattr(classifier, "coefs_"):
        message = f"{path} holds an MLPClassifier that was not fitted on {PIXELS} pixels"
        raise ExportError(message)
    return classifier
