"""BentoML, with a form whose field `image` is a picture."""

import bentoml
from model import classifier
from PIL.Image import Image
from preprocessing import pixels


@bentoml.service
class Digits:
    """Read a digit."""

    def __init__(self) -> None:
        """Load."""
        self.network = classifier()

    @bentoml.api
    def predict(self, image: Image) -> dict:
        """Return the answer."""
        probabilities = self.network.predict_proba(pixels(image))[0]
        return {"digit": int(probabilities.argmax()), "probabilities": probabilities.tolist()}
