"""How much memory one process of the service takes at most: with small pictures, and with one of the largest.

    python -m benchmarks.memory

The small one is docs/seven.jpg, sent a hundred times. The largest is a TIFF of 49 megapixels in 32-bit floats, most of
it blank so that its bytes stay within their limit, sent once. Prints the peak of a process of its own for each.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

_ROOT = Path(__file__).parents[1]


def _largest() -> bytes:
    """Return a 1, dark on light, 7000 x 7000 floats."""
    grey = np.ones((7000, 7000), np.float32)
    grey[1500:5500, 3200:3800] = 0
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "TIFF", compression="tiff_adobe_deflate")
    return file.getvalue()


def _peak(picture: bytes, n: int) -> float:
    """Return the MiB that a service which answers this picture n times took at most."""
    with subprocess.Popen(
        [sys.executable, "-m", "service", "serve"],
        cwd=_ROOT,
        env=os.environ | {"DIGITS_PORT": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None  # noqa: S101 - it is a pipe
        log = iter(process.stderr)
        address = next(found[0] for line in log if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        try:
            with httpx.Client(base_url=address, timeout=60) as client:
                for _ in range(n):
                    client.post("/predict", content=picture).raise_for_status()
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
        finally:
            process.terminate()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


def main() -> None:
    """Measure and print; needs Linux, whose /proc tells the peak."""
    print(f"100 small pictures          {_peak((_ROOT / 'docs' / 'seven.jpg').read_bytes(), 100):6.0f} MiB")
    print(f"1 picture of 49 megapixels  {_peak(_largest(), 1):6.0f} MiB")


if __name__ == "__main__":
    main()
