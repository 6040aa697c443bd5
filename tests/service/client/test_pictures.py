"""Tests of service.client.pictures."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from service.client import InvalidInput
from service.client.pictures import BATCH_BYTES, BATCH_PICTURES, batches, encode, encode_pixels
from tests.pictures import draw
from tests.pictures import encode as as_file


def sent(picture: Any) -> Image.Image:
    """Return the image that is sent for a picture."""
    return Image.open(io.BytesIO(encode(picture)))


def test_files_are_sent_as_they_are(tmp_path: Path) -> None:
    """Bytes, and those of a path whatever its type."""
    path = tmp_path / "seven.jpg"
    path.write_bytes(b"anything")

    assert [b"anything"] * 3 == [encode(b"anything"), encode(path), encode(str(path))]


def test_a_missing_file_is_the_error_of_the_system(tmp_path: Path) -> None:
    """As open() says it."""
    with pytest.raises(FileNotFoundError):
        encode(tmp_path / "none.png")


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3), (20, 30, 4)], ids=str)
def test_arrays_are_sent_as_png(shape: tuple[int, ...]) -> None:
    """Every value arrives, of a view that is not contiguous too."""
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)[:, ::-1]
    image = sent(array)

    assert "PNG" == image.format
    assert np.array_equal(array, np.asarray(image))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_images_are_sent_as_png(mode: str) -> None:
    """What PNG can hold arrives as it was."""
    image = draw(7).convert("L").convert(mode)

    assert "PNG" == sent(image).format
    assert np.array_equal(np.asarray(image.convert("RGBA")), np.asarray(sent(image).convert("RGBA")))


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV"])
def test_colours_that_png_lacks_are_converted(mode: str) -> None:
    """They arrive as RGB."""
    image = draw(7).convert("RGB").convert(mode)

    assert "RGB" == sent(image).mode
    assert np.array_equal(np.asarray(image.convert("RGB")), np.asarray(sent(image)))


def test_images_arrive_upright() -> None:
    """An image as a camera stored it is turned as its EXIF orientation says."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    photo = Image.open(io.BytesIO(as_file(draw(7, size=(40, 20)), exif=exif)))

    assert (20, 40) == sent(photo).size


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.zeros((20, 30), np.float32), "float32 of shape (20, 30)"),
        (np.zeros((20, 30), np.int64), "int64"),
        (np.zeros(784, np.uint8), "(784,)"),
        (np.zeros((20, 30, 2), np.uint8), "(20, 30, 2)"),
        (np.zeros((1, 20, 30, 3), np.uint8), "(1, 20, 30, 3)"),
        (np.zeros((0, 30), np.uint8), "(0, 30)"),
        (Image.new("F", (20, 30)), "cannot be sent as PNG"),
        (784, "not int"),
        (None, "not NoneType"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_picture_is_refused(picture: Any, said: str) -> None:
    """The error says what was given instead."""
    with pytest.raises(InvalidInput) as caught:
        encode(picture)

    assert said in str(caught.value)


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.int64])
def test_pixels_are_rows_of_integers(kind: type[np.integer[Any]]) -> None:
    """Of whatever type of integer, or lists already."""
    rows = [[(row * 28 + column) % 256 for column in range(28)] for row in range(28)]

    assert rows == encode_pixels(np.array(rows, kind))
    assert rows == encode_pixels(rows)


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((28, 28), np.float32), "float32"),
        (np.zeros((28, 28), bool), "bool"),
        (np.zeros((1, 28, 28), np.uint8), "(1, 28, 28)"),
        (np.zeros(784, np.uint8), "(784,)"),
        (np.full((28, 28), 256), "not 256 to 256"),
        (np.full((28, 28), -1), "not -1 to -1"),
        ([[0], [0, 0]], "28 rows"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_in_mnist_form_is_refused(pixels: Any, said: str) -> None:
    """The error says what was given instead."""
    with pytest.raises(InvalidInput) as caught:
        encode_pixels(pixels)

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([1] * 130, [64, 64, 2]),
        ([BATCH_BYTES], [1]),
        ([BATCH_BYTES // 2] * 3, [2, 1]),
        ([1, BATCH_BYTES + 1, 1], [1, 1, 1]),
    ],
    ids=["none", "number", "all", "bytes", "too large"],
)
def test_batches_hold_what_a_request_can_carry(sizes: list[int], expected: list[int]) -> None:
    """At most 64 pictures of 32 MiB together; one that is larger goes alone; the order stays."""
    cut = list(batches(sizes, lambda size: size))

    assert expected == [len(batch) for batch in cut]
    assert sizes == [size for batch in cut for size in batch]


def test_batches_read_no_further_than_they_need() -> None:
    """Of any number of pictures, only one batch and the beginning of the next are in memory."""
    taken = iter(range(1_000_000))
    next(batches(taken, lambda _: 1))

    assert BATCH_PICTURES + 1 == next(taken)
