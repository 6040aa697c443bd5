"""The picture pipeline: from any picture to MNIST form, one module a step.

Enters: pixels, uint8 (height, width) grey or (height, width, 3) RGB. Leaves: the network's input, float32 (28, 28), 0 =
background to 1 = full ink, and a Report of what was done. A picture that has MNIST form already is returned unchanged.

The steps: `grayscale` (PCA grayscale), `background` (background estimation and ink), `components` and `segmentation`
(which ink is the digit), `ruled_lines`, `sheet` (regions), `search` (detection, with all of these), `strokes`
(stroke-width normalisation) and `mnist_frame` (MNIST framing). `steps` draws what each of them did. Out of scope:
decoding (`decoding`), and the choice between several readings (`service.classifier`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from service.images.background import Polarity
from service.images.components import Box, box_around
from service.images.grayscale import to_grey
from service.images.mnist_frame import IDENTITY, Frame, frame, mnist_form_box
from service.images.search import Detection, detect
from service.images.strokes import Digit, Stroke, normalize_strokes
from service.types import IMAGE_SIDE, ByteArray, FloatArray


@dataclass(frozen=True)
class Report:
    """What was done: the polarity, the digit's box in the picture, its stroke width, and the transform into the frame.

    `size` is the (height, width) in pixels that the box and the frame refer to. `stroke` is None where the picture had
    MNIST form already.
    """

    size: tuple[int, int]
    polarity: Polarity
    ink_box: Box
    stroke: Stroke | None
    frame: Frame


@dataclass(frozen=True, eq=False)
class Normalized:
    """The network's input, float32 (28, 28), the report, and the intermediate results, None for MNIST form.

    `others` are further readings of the picture, of which the network chooses one: an upright digit on a rotated sheet,
    or a digit instead of the badge for which it was taken.
    """

    pixels: FloatArray
    report: Report
    detection: Detection | None = None
    digit: Digit | None = None
    others: tuple[Normalized, ...] = ()

    @property
    def has_several(self) -> bool:
        """Whether other components of the picture could be digits too."""
        return self.detection is not None and self.detection.has_several

    @property
    def on_region(self) -> bool:
        """Whether the digit stands on a sheet or a badge."""
        return self.detection is not None and self.detection.region is not None


def normalize(pixels: ByteArray, load_larger: Callable[[], ByteArray] | None = None) -> Normalized:
    """Return a picture, uint8 (height, width) or (height, width, 3), in MNIST form.

    `load_larger` returns the same picture with more pixels; None where it has no more. Raises NoInk where the picture
    is blank, with the reason.
    """
    size = (pixels.shape[0], pixels.shape[1])
    if size == (IMAGE_SIDE, IMAGE_SIDE):
        grey = to_grey(pixels)
        box = mnist_form_box(grey)
        if box is not None:
            report = Report(size, Polarity.LIGHT_ON_DARK, box, None, IDENTITY)
            return Normalized(grey.astype(np.float32) / np.float32(255), report)
    first, *others = detect(pixels, load_larger)
    normalized = _normalized(first, size)
    if not others:
        return normalized
    readings = [_normalized(detection, size) for detection in others]
    # A rotated reading is of the same ink at the same place.
    readings = [
        replace(reading, report=normalized.report) if detection.is_rotated else reading
        for detection, reading in zip(others, readings, strict=True)
    ]
    return replace(normalized, others=tuple(readings))


def _normalized(detection: Detection, size: tuple[int, int]) -> Normalized:
    digit, stroke = normalize_strokes(detection.ink.strength, detection.ink.box)
    pixels, from_ink = frame(digit)
    box, from_picture = _in_picture(detection, from_ink, size)
    return Normalized(pixels, Report(size, detection.polarity, box, stroke, from_picture), detection, digit)


def _in_picture(detection: Detection, from_ink: Frame, size: tuple[int, int]) -> tuple[Box, Frame]:
    """Return the box of the ink and the transform into the frame, in pixels of the whole picture at working size."""
    box, scale, shift = detection.box, from_ink.scale / detection.ink.factor, from_ink.shift
    if not detection.view.is_whole:
        mapped = detection.view.corners_in_picture(box)
        # A view may be rotated and in perspective. Scale and shift approximate that, exact at the digit's middle.
        middle, mapped_middle = np.array([box.left + box.right, box.top + box.bottom]) / 2, mapped.mean(axis=0)
        in_view, scale = scale, scale * box.width / float(np.hypot(*(mapped[1] - mapped[0])))
        shift = tuple((in_view * middle - scale * mapped_middle)[::-1] + from_ink.shift)
        box = box_around(mapped)
    return box.clipped(size), Frame(scale, (float(shift[0]), float(shift[1])))
