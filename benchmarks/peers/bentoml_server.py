"""BentoML: a form with a picture in the field `image`."""

import bentoml
from model import classifier
from PIL.Image import Image
from preprocessing import pixels


@bentoml.service
class Digits:
    """A service that predicts digits."""

    def __init__(self) -> None:
        """Load the network."""
        self.network = classifier()

    @bentoml.api
    def predict(self, image: Image) -> dict:
        """Return the digit and the probabilities."""
        probabilities = self.network.predict_proba(pixels(image))[0]
        return {"digit": int(probabilities.argmax()), "probabilities": probabilities.tolist()}
