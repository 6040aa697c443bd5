"""Tests of service.client.pictures."""

from __future__ import annotations

import io
import tempfile
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
    """Return the picture as the service would decode it."""
    return Image.open(io.BytesIO(encode(picture)))


def test_bytes_and_files_are_sent_unchanged(tmp_path: Path) -> None:
    """Bytes, a Path and a path as str are sent without decoding."""
    path = tmp_path / "seven.jpg"
    path.write_bytes(b"anything")

    assert [b"anything"] * 3 == [encode(b"anything"), encode(path), encode(str(path))]


def test_open_files_are_sent_unchanged(tmp_path: Path) -> None:
    """From their position on: a file, an unbuffered one, io.BytesIO and whatever else reads bytes."""
    path = tmp_path / "seven.jpg"
    path.write_bytes(b"anything")
    memory = io.BytesIO(b"--anything")
    memory.seek(2)
    with path.open("rb") as file, path.open("rb", buffering=0) as raw, tempfile.SpooledTemporaryFile() as spooled:
        spooled.write(b"anything")
        spooled.seek(0)

        assert [b"anything"] * 4 == [encode(one) for one in (file, raw, memory, spooled)]


@pytest.mark.parametrize("content", [b"text", b"\xff\xd8"], ids=["UTF-8", "JPEG"])
def test_file_that_is_open_as_text(tmp_path: Path, content: bytes) -> None:
    """Whether it can be decoded as text or not, the message says how to open it."""
    path = tmp_path / "seven.jpg"
    path.write_bytes(content)
    with path.open(encoding="utf-8") as file, pytest.raises(InvalidInput, match="'rb'"):
        encode(file)  # type: ignore[arg-type] # the error is the point


def test_missing_file_raises_file_not_found(tmp_path: Path) -> None:
    """The OSError of the file system is not wrapped."""
    with pytest.raises(FileNotFoundError):
        encode(tmp_path / "none.png")


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3), (20, 30, 4)], ids=str)
def test_arrays_are_sent_as_png(shape: tuple[int, ...]) -> None:
    """PNG is lossless, also for a view that is not contiguous."""
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)[:, ::-1]
    image = sent(array)

    assert "PNG" == image.format
    assert np.array_equal(array, np.asarray(image))


def test_array_with_one_channel_is_grey() -> None:
    """As OpenCV and Keras have it."""
    array = np.random.default_rng(0).integers(0, 256, (20, 30, 1), np.uint8)

    assert np.array_equal(array[:, :, 0], np.asarray(sent(array)))


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1)], ids=str)
def test_true_is_white(shape: tuple[int, ...]) -> None:
    """As Pillow has it for mode 1."""
    array = np.random.default_rng(0).integers(0, 2, shape).astype(bool)

    assert np.array_equal(255 * array.reshape(20, 30), np.asarray(sent(array)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_images_are_sent_as_png(mode: str) -> None:
    """Modes that PNG supports are sent losslessly."""
    image = draw(7).convert("L").convert(mode)

    assert "PNG" == sent(image).format
    assert np.array_equal(np.asarray(image.convert("RGBA")), np.asarray(sent(image).convert("RGBA")))


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV"])
def test_modes_without_png_are_converted_to_rgb(mode: str) -> None:
    """PNG supports none of these modes."""
    image = draw(7).convert("RGB").convert(mode)

    assert "RGB" == sent(image).mode
    assert np.array_equal(np.asarray(image.convert("RGB")), np.asarray(sent(image)))


def test_exif_orientation_is_applied() -> None:
    """An image is rotated by its EXIF orientation before it is encoded."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    photo = Image.open(io.BytesIO(as_file(draw(7, size=(40, 20)), exif=exif)))

    assert (20, 40) == sent(photo).size


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (np.zeros((20, 30), np.float32), "float32 of shape (20, 30)"),
        (np.zeros(784, np.uint8), "(784,)"),
        (np.zeros((20, 30, 2), np.uint8), "(20, 30, 2)"),
        (np.zeros((1, 20, 30, 3), np.uint8), "(1, 20, 30, 3)"),
        (np.zeros((0, 30), np.uint8), "(0, 30)"),
        (np.zeros((20, 0, 1), np.uint8), "(20, 0)"),
        (Image.new("F", (20, 30)), "cannot be sent as PNG"),
        (784, "not int"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_invalid_pictures_raise_invalid_input(picture: Any, expected: str) -> None:
    """The message has the dtype and shape, or the type, of the argument."""
    with pytest.raises(InvalidInput) as caught:
        encode(picture)

    assert expected in str(caught.value)


@pytest.mark.parametrize("kind", [np.uint8, np.int64])
def test_pixels_are_encoded_as_rows_of_integers(kind: type[np.integer[Any]]) -> None:
    """Arrays of any integer dtype, and nested lists, are accepted."""
    rows = [[(row * 28 + column) % 256 for column in range(28)] for row in range(28)]

    assert rows == encode_pixels(np.array(rows, kind))
    assert rows == encode_pixels(rows)


@pytest.mark.parametrize(
    ("pixels", "expected"),
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
def test_pixels_not_in_mnist_form_raise_invalid_input(pixels: Any, expected: str) -> None:
    """The message has the dtype, shape or range of the argument."""
    with pytest.raises(InvalidInput) as caught:
        encode_pixels(pixels)

    assert expected in str(caught.value)


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
def test_batches_respect_the_limits(sizes: list[int], expected: list[int]) -> None:
    """A batch has at most 64 pictures and 32 MiB; a larger picture is sent alone; the order is kept."""
    cut = list(batches(sizes, lambda size: size))

    assert expected == [len(batch) for batch in cut]
    assert sizes == [size for batch in cut for size in batch]


def test_batches_are_lazy() -> None:
    """Only one batch and the first item of the next are consumed."""
    taken = iter(range(1_000_000))
    next(batches(taken, lambda _: 1))

    assert BATCH_PICTURES + 1 == next(taken)
