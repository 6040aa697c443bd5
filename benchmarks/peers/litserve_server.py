"""LitServe: a picture as base64 in JSON."""

import base64
import io
import sys

import litserve
from model import classifier
from PIL import Image
from preprocessing import pixels


class Digits(litserve.LitAPI):
    """A service that predicts digits."""

    def setup(self, _device) -> None:
        """Load the network."""
        self.network = classifier()

    def decode_request(self, request):
        """Return the pixels of the picture."""
        return pixels(Image.open(io.BytesIO(base64.b64decode(request["image"]))))

    def predict(self, inputs):
        """Return the probabilities."""
        return self.network.predict_proba(inputs)[0]

    def encode_response(self, probabilities):
        """Return the digit and the probabilities."""
        return {"digit": int(probabilities.argmax()), "probabilities": probabilities.tolist()}


if __name__ == "__main__":
    litserve.LitServer(Digits(), accelerator="cpu").run(port=int(sys.argv[1]), generate_client_file=False)
