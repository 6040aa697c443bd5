"""Model files of other libraries: fitted MLPClassifier <-> ONNX and skops, without pickle.

Enters and leaves: an MLPClassifier, or the content of a file. skops files are untrusted: only types that skops trusts
are loaded, and scikit-learn's optimizers. Out of scope: which models can be converted (`training.scalers`), and the
service's own format (`service.model.artifact`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skops.io
from skl2onnx import to_onnx
from sklearn.neural_network import MLPClassifier
from skops.io.exceptions import UntrustedTypesFoundException

from service.types import PIXELS
from training.export import ExportError
from training.scalers import ForeignModel, fold_scalers
from training.synthetic_digits import synthesize

# float32 sums differ in the last digits between libraries.
_TOLERANCE = 1e-5
# A classifier keeps its optimizer by default, whose type skops does not trust, since it is private. Both are plain
# classes that hold numbers: they neither reduce to a call nor act when their state is set. What they hold is checked
# like anything else.
_OPTIMIZERS = tuple(
    f"sklearn.neural_network._stochastic_optimizers.{name}" for name in ("AdamOptimizer", "SGDOptimizer")
)
# Pickles begin with it, from protocol 2 on.
_PICKLE = b"\x80"


def to_onnx_bytes(classifier: MLPClassifier) -> bytes:
    """Return an ONNX file: input `X` float32 (n, 784), outputs `label` and `probabilities` (n, n_classes).

    Raises ExportError when onnxruntime's probabilities differ from scikit-learn's by more than 1e-5.
    """
    # Here, since onnxruntime has no wheels for Python 3.15, where skops files are written all the same.
    import onnxruntime  # noqa: PLC0415

    probe = synthesize(50, np.random.default_rng(0)).images.reshape(-1, PIXELS) / np.float32(255)
    content: bytes = to_onnx(classifier, probe[:1], options={"zipmap": False}).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"X": probe})
    deviation = float(np.abs(probabilities - classifier.predict_proba(probe)).max())
    if not deviation <= _TOLERANCE:  # also true for NaN
        message = f"onnxruntime's probabilities differ by up to {deviation:.1e} from scikit-learn's"
        raise ExportError(message)
    return content


def to_skops_bytes(classifier: MLPClassifier) -> bytes:
    """Return a skops file. It contains only types that skops trusts by default."""
    content: bytes = skops.io.dumps(classifier)
    return content


def from_skops(path: Path) -> ForeignModel:
    """Read a classifier of 28x28 images, alone or behind scalers, from an untrusted skops file.

    Raises ExportError when the file contains untrusted types, is damaged, or has no such classifier. Another version of
    scikit-learn than the one that wrote the file may read it differently, so the caller should evaluate the result.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise ExportError(message) from error
    if content.startswith(_PICKLE):
        message = (
            f"{path} is a pickle, which could run any code: load it where you trust it, and save the model with "
            "`skops.io.dump(model, 'model.skops')`"
        )
        raise ExportError(message)
    try:
        model = skops.io.loads(content, trusted=_OPTIMIZERS)
    except UntrustedTypesFoundException as error:
        message = (
            f"{path} contains untrusted types: {error}; save the fitted MLPClassifier itself, or its Pipeline: of a "
            "search, `best_estimator_`"
        )
        raise ExportError(message) from error
    except Exception as error:
        # Each layer fails in its own way: zip, JSON, schema, constructors.
        message = f"{path} is not a skops file, or is damaged: {error}"
        raise ExportError(message) from error
    try:
        return fold_scalers(model)
    except ExportError as error:
        message = f"{path} {error}"
        raise ExportError(message) from error
