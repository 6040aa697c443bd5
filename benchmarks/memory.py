"""Peak memory of one process of the service: with usual pictures, and with one of the largest accepted pictures.

    python -m benchmarks.memory

The usual pictures are a thousand, a third each canvas drawings, photos of a megapixel, and 28x28 pixels. The largest is
a TIFF of 49 megapixels in 32-bit floats, most of it blank so that its bytes stay within their limit. Prints the peak of
a process of its own for each. Needs Linux.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import httpx
import numpy as np
from PIL import Image

from benchmarks import pictures
from benchmarks.serving import running_service

_N_USUAL = 1000


def _largest() -> bytes:
    """Return a TIFF of a 1, dark on light, 7000 x 7000 floats."""
    grey = np.ones((7000, 7000), np.float32)
    grey[1500:5500, 3200:3800] = 0
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "TIFF", compression="tiff_adobe_deflate")
    return file.getvalue()


def _peak_mib(files: Sequence[bytes]) -> float:
    """Return the peak memory in MiB of a new service that predicts these pictures."""
    with running_service() as server, httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client:
        for file in files:
            client.post("/predict", content=file).raise_for_status()
        return server.peak_rss_mib()


def main() -> None:
    """Measure and print."""
    usual = (pictures.drawing(), pictures.photo(), pictures.inverted())
    print(f"{_N_USUAL:,} usual pictures      {_peak_mib([usual[n % len(usual)] for n in range(_N_USUAL)]):6.0f} MiB")
    print(f"1 picture of 49 megapixels {_peak_mib([_largest()]):6.0f} MiB")


if __name__ == "__main__":
    main()
