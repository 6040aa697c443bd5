"""How much memory one process of the service takes at most: with what users send, and with one of the largest pictures.

    python -m benchmarks.memory

What users send is a thousand pictures, a third each canvas drawings, photos of a megapixel and 28x28 pixels. The
largest is a TIFF of 49 megapixels in 32-bit floats, most of it blank so that its bytes stay within their limit, sent
once. Prints the peak of a process of its own for each.
"""

from __future__ import annotations

import io

import httpx
import numpy as np
from PIL import Image

from benchmarks import pictures
from benchmarks.serving import served

_N = 1000


def _largest() -> bytes:
    """Return a 1, dark on light, 7000 x 7000 floats."""
    grey = np.ones((7000, 7000), np.float32)
    grey[1500:5500, 3200:3800] = 0
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "TIFF", compression="tiff_adobe_deflate")
    return file.getvalue()


def _peak(sent: list[bytes]) -> float:
    """Return the MiB that a service which answers these pictures took at most."""
    with served() as service, httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=60) as client:
        for picture in sent:
            client.post("/predict", content=picture).raise_for_status()
        return service.most_mebibytes()


def main() -> None:
    """Measure and print; needs Linux, which tells the peak."""
    usual = (pictures.drawing(), pictures.photo(), pictures.inverted())
    print(f"{_N:,} pictures as users send them {_peak([usual[n % len(usual)] for n in range(_N)]):6.0f} MiB")
    print(f"1 picture of 49 megapixels       {_peak([_largest()]):6.0f} MiB")


if __name__ == "__main__":
    main()
