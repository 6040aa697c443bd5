"""The usual digit service: FastAPI, UploadFile, Pillow, and scikit-learn's `predict_proba`."""

import io

import numpy as np
from fastapi import FastAPI, UploadFile
from model import classifier
from PIL import Image

app = FastAPI()
network = classifier()


@app.post("/predict")
def predict(file: UploadFile) -> dict:
    """Read a digit."""
    image = Image.open(io.BytesIO(file.file.read())).convert("L").resize((28, 28))
    pixels = np.asarray(image, np.float32).reshape(1, -1) / 255
    probabilities = network.predict_proba(pixels)[0]
    return {"digit": int(probabilities.argmax()), "probabilities": probabilities.tolist()}
