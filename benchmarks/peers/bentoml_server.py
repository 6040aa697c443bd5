"""BentoML, with a form whose field `image` is a picture."""

import bentoml
import numpy as np
from model import classifier
from PIL.Image import Image


@bentoml.service
class Digits:
    """Read a digit."""

    def __init__(self) -> None:
        """Load."""
        self.network = classifier()

    @bentoml.api
    def predict(self, image: Image) -> dict:
        """Return the answer."""
        pixels = np.asarray(image.convert("L").resize((28, 28)), np.float32).reshape(1, -1) / 255
        probabilities = self.network.predict_proba(pixels)[0]
        return {"digit": int(probabilities.argmax()), "probabilities": probabilities.tolist()}
