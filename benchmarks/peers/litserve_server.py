"""LitServe, with a base64 picture in JSON."""

import base64
import io
import sys

import litserve
import numpy as np
from model import classifier
from PIL import Image


class Digits(litserve.LitAPI):
    """Read a digit."""

    def setup(self, _device) -> None:
        """Load."""
        self.network = classifier()

    def decode_request(self, request):
        """Return pixels."""
        image = Image.open(io.BytesIO(base64.b64decode(request["image"]))).convert("L").resize((28, 28))
        return np.asarray(image, np.float32).reshape(1, -1) / 255

    def predict(self, pixels):
        """Return probabilities."""
        return self.network.predict_proba(pixels)[0]

    def encode_response(self, probabilities):
        """Return the answer."""
        return {"digit": int(probabilities.argmax()), "probabilities": probabilities.tolist()}


if __name__ == "__main__":
    litserve.LitServer(Digits(), accelerator="cpu").run(port=int(sys.argv[1]), generate_client_file=False)
