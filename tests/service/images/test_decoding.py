"""Tests of service.images.decoding, and of service.images.grayscale with files of each format and mode."""

from __future__ import annotations

import io
import itertools
import struct
import threading
import tracemalloc
import warnings
import zlib
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from service.errors import EmptyPicture, PictureError, PictureTooLarge, UnreadablePicture, UnsupportedFormat
from service.images.decoding import WORKING_SIDE, PixelBudget, decode, format_names, is_small_png, png_chunks
from service.images.grayscale import to_grey
from service.types import FloatArray
from tests.pictures import chunk, compressed_chunk, draw, encode, heic

MAX_PIXELS = 50_000_000
# The rounding error of 8 bits, 0..1.
HALF_A_LEVEL = 0.5001 / 255
DIGIT = draw()
GREY = np.asarray(DIGIT, np.float32) / 255
COLOURED = draw(mode="RGB", ink=(180, 20, 40), paper=(250, 250, 240))

# A file of every accepted kind, all of the same 7, which is the first frame where there are several.
FILES: dict[str, bytes] = {
    "PNG": encode(DIGIT),
    "APNG": encode(DIGIT, save_all=True, append_images=[draw(3)]),
    "JPEG": encode(DIGIT, "JPEG"),
    "progressive JPEG": encode(DIGIT, "JPEG", progressive=True),
    "MPO": encode(DIGIT, "MPO", save_all=True, append_images=[draw(3)]),
    "WEBP": encode(DIGIT, "WEBP"),
    "lossless WEBP": encode(DIGIT, "WEBP", lossless=True),
    "animated WEBP": encode(DIGIT, "WEBP", save_all=True, append_images=[draw(3)], lossless=True),
    "HEIC": heic(DIGIT),
    "AVIF": encode(DIGIT, "AVIF", quality=90),
    "GIF": encode(DIGIT, "GIF"),
    "animated GIF": encode(DIGIT, "GIF", save_all=True, append_images=[draw(3)]),
    "BMP": encode(DIGIT, "BMP"),
    "TIFF": encode(DIGIT, "TIFF"),
    "TIFF with more pages": encode(DIGIT, "TIFF", save_all=True, append_images=[draw(3)]),
    "LZW TIFF": encode(DIGIT, "TIFF", compression="tiff_lzw"),
    "deflate TIFF": encode(DIGIT, "TIFF", compression="tiff_adobe_deflate"),
}
LOSSY = {"JPEG", "progressive JPEG", "MPO", "WEBP", "HEIC", "AVIF"}


def grey_of(data: bytes) -> FloatArray:
    """Return a decoded file in grey, 0..1."""
    return to_grey(decode(data, MAX_PIXELS).pixels).astype(np.float32) / np.float32(255)


def png_header(width: int, height: int) -> bytes:
    """Return the start of a 1-bit PNG of this size, without any of its pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"")


def tiled_tiff(side: int, tile: int, length: int | None = None) -> bytes:
    """Return a grey TIFF of side x side pixels, cropped from one deflated tile of tile x length or tile x tile."""
    length = length or tile
    packer = zlib.compressobj(9)
    content = b"".join(packer.compress(b"\x80" * tile) for _ in range(length)) + packer.flush()
    tags = {256: side, 257: side, 258: 8, 259: 8, 262: 1, 277: 1, 322: tile, 323: length, 324: 0, 325: len(content)}
    start = 8 + 2 + 12 * len(tags) + 4
    tags[324] = start
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\x00" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + content


# --- Formats


@pytest.mark.parametrize("name", FILES)
def test_every_accepted_format_is_read(name: str) -> None:
    """The first frame is decoded to the pixels that were encoded, up to the loss of the format."""
    picture = decode(FILES[name], MAX_PIXELS)
    form = name.removeprefix("animated ").split()[-1] if "pages" not in name else "TIFF"

    assert {"APNG": "PNG", "MPO": "JPEG", "WEBP": "WebP"}.get(form, form) == picture.format
    assert (200, 200) == (picture.width, picture.height)
    np.testing.assert_allclose(grey_of(FILES[name]), GREY, rtol=0, atol=0.25 if name in LOSSY else HALF_A_LEVEL)
    assert 0.01 > np.abs(grey_of(FILES[name]) - GREY).mean()


@pytest.mark.parametrize("image", [DIGIT, COLOURED, DIGIT.convert("RGBA"), DIGIT.convert("LA")], ids=lambda i: i.mode)
@pytest.mark.parametrize("orientation", [1, 6], ids=["upright", "turned"])
def test_a_picture_is_a_plain_array(image: Image.Image, orientation: int) -> None:
    """The array is C-contiguous uint8, also after rotation and conversion."""
    exif = Image.Exif()
    exif[274] = orientation
    pixels = decode(encode(image, exif=exif), MAX_PIXELS).pixels

    assert pixels.flags.c_contiguous
    assert np.uint8 == pixels.dtype


@pytest.mark.parametrize(
    "data",
    [
        b"the digit is a seven",
        b"<svg xmlns='http://www.w3.org/2000/svg'><path d='M0 0H9L4 9'/></svg>",
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n",
        b"RIFF\x24\x00\x00\x00WAVEfmt ",
        b"PK\x03\x04" + bytes(60),
        encode(DIGIT, "PPM"),
        encode(DIGIT, "ICO"),
        encode(DIGIT, "TGA"),
        encode(DIGIT, "JPEG2000"),
    ],
    ids=["text", "SVG", "PDF", "WAV", "ZIP", "PPM", "ICO", "TGA", "JPEG 2000"],
)
def test_other_formats_are_unsupported(data: bytes) -> None:
    """Other files and pictures in other formats are not opened. The message lists the accepted formats."""
    with pytest.raises(UnsupportedFormat, match=f"not a picture in an accepted format: send {format_names()}$"):
        decode(data, MAX_PIXELS)


def test_nothing_is_an_empty_picture() -> None:
    """Forms send no bytes when no file was chosen."""
    with pytest.raises(EmptyPicture, match="no file was chosen"):
        decode(b"", MAX_PIXELS)


# --- Modes


def deep(kind: type[np.generic], scale: float) -> Image.Image:
    """Return the 7 with another type of numbers: 0 for ink and `scale` for paper."""
    return Image.fromarray((GREY * scale).astype(kind))


@pytest.mark.parametrize(
    ("image", "form", "mode"),
    [
        (DIGIT.convert("1"), "PNG", "1"),
        (DIGIT, "PNG", "L"),
        (DIGIT.convert("P"), "PNG", "P"),
        (DIGIT.convert("P"), "GIF", "P"),
        (DIGIT.convert("RGB"), "PNG", "RGB"),
        (DIGIT.convert("RGB"), "JPEG", "RGB"),
        (DIGIT.convert("RGBA"), "PNG", "RGBA"),
        (DIGIT.convert("LA"), "PNG", "LA"),
        (DIGIT.convert("LA").convert("PA"), "TIFF", "PA"),
        (DIGIT.convert("CMYK"), "JPEG", "CMYK"),
        (DIGIT.convert("CMYK"), "TIFF", "CMYK"),
        (DIGIT.convert("YCbCr"), "TIFF", "YCbCr"),
        (DIGIT.convert("RGB").convert("LAB"), "TIFF", "LAB"),
        (deep(np.uint16, 65535), "PNG", "I;16"),
        (deep(np.int32, 2e9), "TIFF", "I"),
        (deep(np.float32, 1), "TIFF", "F"),
        (deep(np.float32, 1e38), "TIFF", "F"),
    ],
    ids=lambda part: None if isinstance(part, Image.Image) else part,
)
def test_white_is_1_and_black_is_0_in_every_mode(image: Image.Image, form: str, mode: str) -> None:
    """Paper and ink keep their brightness in every mode of Pillow."""
    data = encode(image, form)
    grey = grey_of(data)

    assert mode == Image.open(io.BytesIO(data)).mode
    assert (200, 200) == grey.shape
    assert 0.02 > np.abs(grey[GREY == 1] - 1).mean()
    assert 0.02 > np.abs(grey[GREY == 0]).mean()
    assert 0.02 > np.abs(grey - GREY).mean()


@pytest.mark.parametrize(
    ("form", "options"),
    [("PNG", {}), ("TIFF", {}), ("TIFF", {"big_endian": True})],
    ids=["PNG", "little-endian TIFF", "big-endian TIFF"],
)
def test_16_bits_keep_their_range(form: str, options: dict[str, Any]) -> None:
    """Greys above 255 are not clipped to white, and dark pictures stay dark."""
    values = np.linspace(0, 65535, 65_536).astype(np.uint16).reshape(256, 256)
    grey = grey_of(encode(values, form, **options))
    dark = grey_of(encode(values // 3, form, **options))

    np.testing.assert_allclose(grey, values / 65535, atol=HALF_A_LEVEL)
    np.testing.assert_allclose(dark, values // 3 / 65535, atol=HALF_A_LEVEL)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize(("kind", "form"), [(np.uint16, "PNG"), (np.int32, "TIFF")])
def test_bit_depth_is_the_smallest_that_fits(kind: type[np.generic], form: str, bits: int) -> None:
    """White is 1023 in a 16-bit file of a camera with 10 bits, and 255 in a 32-bit file of a scan with 8 bits."""
    np.testing.assert_allclose(grey_of(encode(deep(kind, 2**bits - 1), form)), GREY, atol=2 / 255)


def test_noise_in_16_bits_is_not_amplified() -> None:
    """Noise of a few levels in 16 bits has no more levels in 8 bits, which is too little contrast for ink."""
    noise = np.random.default_rng(0).integers(0, 6, (200, 200)).astype(np.uint16)

    assert 6 / 255 > np.ptp(grey_of(encode(noise)))
    assert 6 / 255 > np.ptp(grey_of(encode(noise + np.uint16(30_000))))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 300], [600, 1200]], np.int32), [[0, 300 / 4095], [600 / 4095, 1200 / 4095]]),
        (np.array([[0, 65536], [131072, 262144]], np.int32), [[0, 0.25], [0.5, 1]]),
        (np.array([[-100, 0], [100, 300]], np.int32), [[0, 0.25], [0.5, 1]]),
        (np.array([[0, 0.25], [0.5, 1]], np.float32), [[0, 0.25], [0.5, 1]]),
        (np.array([[0, 0.25], [0.5, 0.5]], np.float32), [[0, 0.25], [0.5, 0.5]]),
        (np.array([[-1, 0], [1, 3]], np.float32), [[0, 0.25], [0.5, 1]]),
        (np.array([[5, 5], [5, 5]], np.float32), [[1, 1], [1, 1]]),
        (np.array([[0, 0], [0, 0]], np.float32), [[0, 0], [0, 0]]),
        (np.array([[-3e38, 0], [1.5e38, 3e38]], np.float32), [[0, 0.5], [0.75, 1]]),
        (np.array([[np.nan, 1], [np.inf, -np.inf]], np.float32), [[0, 1], [0, 0]]),
        (np.array([[np.nan, np.nan], [np.nan, np.nan]], np.float32), [[0, 0], [0, 0]]),
    ],
    ids=[
        "16 bits in 32",
        "32 bits",
        "signed",
        "0 to 1",
        "0 to 0.5",
        "signed float",
        "one grey",
        "black",
        "ends of float32",
        "not finite",
        "only NaN",
    ],
)
def test_high_bit_depths_are_scaled(values: npt.NDArray[Any], expected: list[list[float]]) -> None:
    """White is the largest value where it is unknown. Values that are not finite become 0."""
    np.testing.assert_allclose(grey_of(encode(values, "TIFF")), expected, atol=HALF_A_LEVEL)


def test_high_bit_depths_are_downsampled() -> None:
    """A large 16-bit picture is averaged over blocks of pixels."""
    side = 3 * WORKING_SIDE
    values = np.random.default_rng(0).integers(0, 65536, (side, side)).astype(np.uint16)
    blocks = (values / 65535).reshape(WORKING_SIDE, 3, WORKING_SIDE, 3).mean(axis=(1, 3))

    np.testing.assert_allclose(grey_of(encode(values)), blocks, atol=HALF_A_LEVEL)


# --- Transparency


@pytest.mark.parametrize(("mode", "colour"), [("RGBA", 0), ("RGBA", 255), ("LA", 128)])
def test_ink_in_the_alpha_channel_is_dark_on_light(mode: str, colour: int) -> None:
    """The opacity of a drawing of one colour on a transparent ground is its ink, whatever the colour."""
    opacity = ImageOps.invert(DIGIT)
    image = Image.new("L", DIGIT.size, colour).convert(mode)
    image.putalpha(opacity)

    np.testing.assert_allclose(grey_of(encode(image)), GREY, atol=HALF_A_LEVEL)


@pytest.mark.parametrize("side", [200, 600], ids=["original size", "downsampled"])
@pytest.mark.parametrize("hidden", [(255, 255, 255), (0, 0, 0), (0, 255, 0)], ids=["white", "black", "green"])
def test_hidden_colours_have_no_effect(side: int, hidden: tuple[int, ...]) -> None:
    """The colours of transparent pixels are not visible, and are not averaged with those of others."""
    digit = draw(size=(side, side))
    image = Image.composite(Image.new("RGB", digit.size, hidden), Image.new("RGB", digit.size, (20, 0, 90)), digit)
    image.putalpha(ImageOps.invert(digit))
    grey = grey_of(encode(image))
    opaque = grey_of(encode(digit))

    np.testing.assert_allclose(grey, opaque, atol=0.01)


@pytest.mark.parametrize(
    ("data", "mode"),
    [
        (encode(DIGIT.convert("P"), transparency=DIGIT.convert("P").getpixel((0, 0))), "P"),
        (encode(DIGIT.convert("P"), "GIF", transparency=255), "P"),
        (encode(DIGIT, transparency=255), "L"),
        (encode(DIGIT.convert("1"), transparency=255), "1"),
        (encode(DIGIT.convert("RGB"), transparency=(255, 255, 255)), "RGB"),
    ],
    ids=["P as PNG", "P as GIF", "L", "1", "RGB"],
)
def test_a_transparent_colour_is_paper(data: bytes, mode: str) -> None:
    """Black ink on a colour that is declared transparent is dark on light, in every mode with such a declaration."""
    image = Image.open(io.BytesIO(data))

    assert mode == image.mode
    assert "transparency" in image.info
    np.testing.assert_allclose(grey_of(data), GREY, atol=0.01)


def test_a_palette_with_graded_transparency_is_read() -> None:
    """A palette with an opacity for each colour, as in web graphics, is read as dark on light."""
    image = Image.frombytes("P", DIGIT.size, DIGIT.tobytes())
    image.putpalette(bytes(3 * 256))
    data = encode(image, transparency=bytes(range(255, -1, -1)))

    np.testing.assert_allclose(grey_of(data), GREY, atol=0.01)


def test_a_cut_out_is_extended_with_its_own_paper() -> None:
    """A transparent margin gets the colour of the paper, so that the edge of the paper is not taken for ink."""
    image = draw(mode="RGBA", ink=(30, 30, 60, 255), paper=(200, 190, 180, 255))
    alpha = Image.new("L", image.size, 0)
    alpha.paste(255, (20, 20, 180, 180))
    image.putalpha(alpha)
    grey = grey_of(encode(image))
    margin = np.asarray(alpha) == 0

    assert pytest.approx(float(grey[30, 30]), abs=0.01) == float(grey[margin].min())
    assert pytest.approx(float(grey[30, 30]), abs=0.01) == float(grey[margin].max())
    assert 0.4 < float(grey[30, 30]) - float(grey[GREY == 0].max())


@pytest.mark.parametrize(
    ("inks", "darker"),
    [(((0, 0, 80), (90, 0, 0)), True), (((255, 255, 120), (160, 255, 255)), False)],
    ids=["dark pens", "chalks"],
)
def test_two_inks_get_a_ground_of_opposite_brightness(inks: tuple[tuple[int, ...], ...], darker: bool) -> None:  # noqa: FBT001
    """Dark strokes on a transparent ground are blended over white, and light ones over black."""
    image = Image.new("RGB", DIGIT.size, inks[0])
    image.paste(inks[1], (0, 100, 200, 200))
    image.putalpha(ImageOps.invert(DIGIT))
    grey = grey_of(encode(image))
    ink, ground = grey[GREY == 0], grey[GREY == 1]

    assert 0.3 < (ground.min() - ink.max() if darker else ink.min() - ground.max())


@pytest.mark.parametrize("opacity", [0, 1, 100])
def test_hardly_visible_ink_is_its_opacity(opacity: int) -> None:
    """Where no pixel is half opaque, the alpha channel is the ink."""
    image = Image.new("RGB", DIGIT.size, (255, 0, 0))
    image.putalpha(ImageOps.invert(DIGIT).point(lambda value: value * opacity // 255))

    np.testing.assert_allclose(grey_of(encode(image)), 1 - (1 - GREY) * opacity / 255, atol=0.005)


def test_an_opaque_alpha_channel_is_ignored() -> None:
    """An opaque picture is read the same with and without its alpha channel."""
    np.testing.assert_array_equal(grey_of(encode(COLOURED)), grey_of(encode(COLOURED.convert("RGBA"))))


def test_an_opaque_alpha_channel_is_no_drawing() -> None:
    """Also where the colours hardly differ, the drawing is in the colours."""
    faint = draw(ink=200, paper=240)

    np.testing.assert_allclose(grey_of(encode(faint.convert("RGBA"))), np.asarray(faint) / 255, atol=HALF_A_LEVEL)


# --- Colour


@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        ((255, 255, 0), (255, 255, 255)),
        ((255, 0, 0), (0, 130, 0)),
        ((0, 0, 255), (97, 0, 0)),
    ],
    ids=["yellow on white", "red on green", "blue on maroon"],
)
def test_coloured_ink_keeps_its_contrast(ink: tuple[int, ...], paper: tuple[int, ...]) -> None:
    """Colours of about the same luminance differ in PCA grayscale."""
    image = draw(mode="RGB", ink=ink, paper=paper)
    luminance = np.asarray(image.convert("L"), np.float32) / 255
    grey = grey_of(encode(image))
    flat = np.ptp(grey[GREY == 0]) + np.ptp(grey[GREY == 1])

    assert 0.15 > np.ptp(luminance)
    assert 0.3 < np.ptp(grey)
    assert pytest.approx(0, abs=1e-5) == flat


@pytest.mark.parametrize(
    ("ink", "paper", "expected"),
    [
        # The difference is in blue alone: the axis is (0, 0, 1), yellow is at 0 and white at 1; 1 / sqrt(3) = 0.57735.
        ((255, 255, 0), (255, 255, 255), (0, 0.57735)),
        # The difference is (1, -0.6, 0), the axis (0.857493, -0.514496, 0). The darkest colour along it is green with
        # -0.514496. Red is 0.857493 + 0.514496 above it, 0.6 green 0.6 * -0.514496 + 0.514496.
        ((255, 0, 0), (0, 153, 0), (0.792118, 0.118818)),
        # The axis is (-1, 1.2, 0) * 0.5 / 0.781025 = (-0.640184, 0.768221, 0). The darkest colour is full red. Half
        # red is 0.5 * -0.640184 + 0.640184 above it, and 0.6 green 0.6 * 0.768221 + 0.640184.
        ((127.5, 0, 0), (0, 153, 0), (0.184805, 0.635731)),
    ],
    ids=["yellow on white", "red on green", "half red on green"],
)
def test_colours_worked_by_hand(
    ink: tuple[float, ...], paper: tuple[float, ...], expected: tuple[float, float]
) -> None:
    """Grey is the projection on the axis, from the darkest corner of the RGB cube upwards."""
    shades = Image.new("RGB", (2, 1))
    shades.putpixel((0, 0), tuple(round(part) for part in ink))
    shades.putpixel((1, 0), tuple(round(part) for part in paper))

    np.testing.assert_allclose(grey_of(encode(shades))[0], expected, atol=0.003)


@pytest.mark.parametrize(
    ("ink", "paper", "darker"),
    [
        ((0, 0, 0), (255, 255, 255), True),
        ((20, 30, 120), (250, 245, 230), True),
        ((255, 255, 255), (30, 90, 60), False),
    ],
    ids=["black on white", "blue pen", "chalk on green"],
)
def test_light_and_dark_are_not_swapped(ink: tuple[int, ...], paper: tuple[int, ...], darker: bool) -> None:  # noqa: FBT001
    """The brighter colour is the brighter grey."""
    grey = grey_of(encode(draw(mode="RGB", ink=ink, paper=paper)))

    assert darker == bool(grey[GREY == 0].mean() < grey[GREY == 1].mean())


# --- Orientation


@pytest.mark.parametrize(
    ("form", "options", "orientation"),
    [
        *(("PNG", {}, orientation) for orientation in range(1, 9)),
        ("JPEG", {"quality": 95}, 6),
        ("WEBP", {"lossless": True}, 6),
        ("TIFF", {}, 6),
        ("TIFF", {"compression": "tiff_lzw"}, 6),
    ],
)
def test_exif_orientation_is_applied(form: str, options: dict[str, Any], orientation: int) -> None:
    """All eight orientations, and one in every format, are applied as by Pillow's exif_transpose."""
    exif = Image.Exif()
    exif[274] = orientation
    data = encode(draw(size=(120, 80)), form, exif=exif, **options)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("L")

    np.testing.assert_allclose(grey_of(data), np.asarray(expected) / 255, atol=HALF_A_LEVEL)
    assert ((80, 120) if orientation < 5 else (120, 80)) == grey_of(data).shape


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("size", [(120, 80), (80, 120), (700, 301), (1, 200), (200, 200)], ids=str)
def test_upright_size_is_that_of_the_file_as_it_is_shown(size: tuple[int, int], orientation: int, form: str) -> None:
    """It is in pixels of the file, also where the picture was downsampled or turned."""
    exif = Image.Exif()
    exif[274] = orientation
    data = encode(Image.new("L", size, 200), form, exif=exif)

    picture = decode(data, MAX_PIXELS)

    assert (size if orientation > 4 else size[::-1]) == picture.upright_size


@pytest.mark.parametrize("size", [(578, 577), (577, 576), (1200, 1199), (1199, 1200)], ids=str)
def test_upright_size_of_a_picture_that_is_nearly_square(size: tuple[int, int]) -> None:
    """Width and height stay in their order where the downsampled picture is a square."""
    picture = decode(encode(Image.new("L", size, 200)), MAX_PIXELS)

    assert size[::-1] == picture.upright_size


def damaged_exif() -> dict[str, bytes]:
    """Return EXIF blocks without a valid orientation."""
    exif = Image.Exif()
    exif[274] = 1
    exif[270] = "a description that does not fit into the directory itself"
    whole = exif.tobytes()
    odd = Image.Exif()
    odd[274] = 99
    words = struct.pack("<4sIHHHI4sI", b"II*\x00", 8, 1, 274, 2, 3, b"up", 0)
    return {
        "no TIFF": b"Exif\x00\x00garbage",
        "empty": b"Exif\x00\x00",
        "only a header": whole[:14],
        "cut off in its directory": whole[:20],
        "cut off in its values": whole[:-30],
        "unknown orientation": odd.tobytes(),
        "orientation in words": b"Exif\x00\x00" + words,
    }


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("damage", damaged_exif())
def test_damaged_exif_is_ignored(form: str, damage: str) -> None:
    """A picture with damaged EXIF is read like one without EXIF."""
    data = encode(DIGIT, form, exif=damaged_exif()[damage])

    np.testing.assert_array_equal(grey_of(encode(DIGIT, form)), grey_of(data))


# --- Size


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize(
    ("width", "height", "factor"),
    [
        (1, 1, 1),
        (90, WORKING_SIDE - 1, 1),
        (WORKING_SIDE, WORKING_SIDE, 1),
        (WORKING_SIDE + 1, 20, 2),
        (480, 2 * WORKING_SIDE, 2),
        (2 * WORKING_SIDE + 1, 300, 3),
        (500, 3 * WORKING_SIDE + 40, 4),
        (9 * WORKING_SIDE, 9, 9),
    ],
    ids=["a pixel", "small", "working size", "one more", "twice", "twice and one", "three times and some", "a line"],
)
def test_large_pictures_are_downsampled(form: str, width: int, height: int, factor: int) -> None:
    """The longer side has at most the working size, and at least half of it in a picture that is larger than that."""
    image = draw(size=(width, height), mode="RGB", ink=(0, 0, 0), paper=(255, 255, 255))
    picture = decode(encode(image, form), MAX_PIXELS)

    assert (width, height) == (picture.width, picture.height)
    if form != "JPEG":  # JPEG's draft mode downsamples by powers of 2 first, see below.
        assert (-(-height // factor), -(-width // factor)) == picture.pixels.shape[:2]
    assert min(WORKING_SIDE / 2, max(width, height)) <= max(picture.pixels.shape[:2]) <= WORKING_SIDE


def test_downsampling_averages() -> None:
    """A block of pixels becomes their mean."""
    side = 2 * WORKING_SIDE
    values = np.random.default_rng(0).integers(0, 256, (side, side)).astype(np.uint8)
    blocks = (values / 255).reshape(WORKING_SIDE, 2, WORKING_SIDE, 2).mean(axis=(1, 3))

    np.testing.assert_allclose(grey_of(encode(values)), blocks, atol=0.6 / 255)


def test_a_large_jpeg_is_decoded_in_draft_mode() -> None:
    """A JPEG of eight times the working size is decoded at an eighth."""
    data = encode(draw(size=(8 * WORKING_SIDE, 4 * WORKING_SIDE)), "JPEG")
    small = Image.open(io.BytesIO(data))
    small.draft("L", (WORKING_SIDE, WORKING_SIDE // 2))

    assert (WORKING_SIDE, WORKING_SIDE // 2) == small.size
    np.testing.assert_allclose(grey_of(data), np.asarray(small) / 255, atol=HALF_A_LEVEL)


@pytest.mark.parametrize("name", ["PNG", "APNG", "JPEG", "TIFF"])
def test_the_limit_counts_pixels(name: str) -> None:
    """A picture of as many pixels as allowed is read. One pixel more is refused, with both numbers in the message."""
    assert (200, 200) == decode(FILES[name], 200 * 200).pixels.shape[:2]
    with pytest.raises(
        PictureTooLarge, match=r"200 x 200 pixels, 0\.0 megapixels to decode, more than the 0\.039999 that"
    ):
        decode(FILES[name], 200 * 200 - 1)


@pytest.mark.parametrize(
    ("width", "height"),
    [(10_000, 9000), (14_000, 14_000), (2**31 - 1, 2**31 - 1)],
    ids=["Pillow warns", "Pillow refuses", "maximum of PNG"],
)
def test_too_many_pixels_are_refused_by_the_header(width: int, height: int) -> None:
    """A file that has only a header is refused, without a warning of Pillow."""
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        with pytest.raises(PictureTooLarge, match="send a smaller one"):
            decode(png_header(width, height), MAX_PIXELS)

    assert [] == shown


def test_a_bomb_of_81_megapixels_is_refused() -> None:
    """A file of ten kilobytes and 81 megapixels is refused, and the message contains the limit."""
    data = encode(Image.new("1", (9000, 9000)))

    assert 20_000 > len(data)
    with pytest.raises(PictureTooLarge, match=r"9000 x 9000 pixels, 81\.0 megapixels to decode, more than the 50 that"):
        decode(data, MAX_PIXELS)


def test_the_limit_counts_the_tile_of_a_tiff() -> None:
    """Decoding a TIFF of few pixels with a huge tile would take the memory of the tile."""
    assert (10, 10) == grey_of(tiled_tiff(10, 32)).shape
    with pytest.raises(PictureTooLarge, match=r"10 x 10 pixels, 2\.6 megapixels to decode"):
        decode(tiled_tiff(10, 1600), 1_000_000)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("across", [1, 10])
def test_long_thin_pictures_are_refused(form: str, across: int) -> None:
    """A picture that downsampling would leave less than a pixel across is refused before it is decoded."""
    longest = across * WORKING_SIDE
    for size in ((longest, across), (across, longest)):
        assert 1 == min(grey_of(encode(Image.new("L", size), form)).shape)
    for size in ((longest + 1, across), (across, longest + 1)):
        with pytest.raises(PictureTooLarge, match=f"has {size[0]} x {size[1]} pixels, too long and thin"):
            decode(encode(Image.new("L", size), form), MAX_PIXELS)


def test_the_tile_of_a_tiff_may_be_long_and_thin() -> None:
    """A small square with a long tile is read."""
    assert (20, 20) == grey_of(tiled_tiff(20, 32, 33 * WORKING_SIDE)).shape


def test_a_tile_size_that_is_no_number_is_ignored() -> None:
    """A TIFF without tiles is read, also with a tile tag that contains text."""
    described = encode(DIGIT, "TIFF", tiffinfo={270: "wide"})
    tag, other = struct.pack("<HH", 270, 2), struct.pack("<HH", 322, 2)

    assert 1 == described.count(tag)
    np.testing.assert_array_equal(GREY, grey_of(described.replace(tag, other)))


# --- Decompression bombs, and small files with very many parts


def with_chunks(*chunks: bytes, place: bytes = b"IDAT") -> bytes:
    """Return a PNG with these chunks before its pixels, or before the chunk `place`."""
    head, rest = FILES["PNG"][: FILES["PNG"].index(place) - 4], FILES["PNG"][FILES["PNG"].index(place) - 4 :]
    return head + b"".join(chunks) + rest


def with_scans(n_more: int) -> bytes:
    """Return a progressive JPEG with this many copies of its last scan."""
    data = encode(DIGIT, "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + n_more * last + data[-2:]


def with_extensions(n: int) -> bytes:
    """Return a GIF with this many comments."""
    return FILES["GIF"][:13] + FILES["GIF"][13:].replace(b",", n * b"\x21\xfe\x01a\x00" + b",", 1)


def run_length_encoded(n_ends_of_line: int) -> bytes:
    """Return a run-length encoded BMP that consists of this many ends of lines."""
    size = struct.pack("<IiiHHIIiiII", 40, 20, 20, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 54 + 1024) + size + bytes(1024) + n_ends_of_line * b"\0\0" + b"\0\1"


# Made by the test, and not by each process that imports this module.
BOMBS: dict[str, Callable[[], bytes]] = {
    "PNG text": lambda: with_chunks(compressed_chunk(b"zTXt", 50 * 2**20)),
    "PNG international text": lambda: with_chunks(compressed_chunk(b"iTXt", 50 * 2**20)),
    "PNG profile": lambda: with_chunks(compressed_chunk(b"iCCP", 50 * 2**20)),
    "PNG texts": lambda: with_chunks(*[compressed_chunk(b"zTXt", 2**20 - 1)] * 65),
    # Three reads a chunk or segment, four an extension and one a line or byte of padding: just above the limit.
    "PNG chunks": lambda: with_chunks(
        chunk(b"tEXt", b"key\0text"), *[chunk(b"pHYs", bytes(9))] * 33_500, place=b"IEND"
    ),
    "JPEG segments": lambda: FILES["JPEG"][:2] + 33_500 * b"\xff\xfe\0\2" + FILES["JPEG"][2:],
    "JPEG padding": lambda: FILES["JPEG"][:2] + 100_100 * b"\xff" + FILES["JPEG"][2:],
    "JPEG scans": lambda: with_scans(1_000),
    "GIF extensions": lambda: with_extensions(25_100),
    "BMP lines": lambda: run_length_encoded(100_100),
}


# Counting a hundred thousand parts while memory is traced takes a second.
MANY_PARTS = {"PNG chunks", "JPEG segments", "JPEG padding", "GIF extensions", "BMP lines"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in MANY_PARTS else []) for name in BOMBS]
)
def test_a_bomb_is_refused_before_it_is_decompressed(name: str) -> None:
    """It is unreadable, and reading it takes little more memory than the file itself."""
    data = BOMBS[name]()
    tracemalloc.start()
    with pytest.raises(UnreadablePicture):
        decode(data, MAX_PIXELS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 4 * len(data) + 10_000_000 > peak


def test_overlapping_tags_do_not_multiply_memory() -> None:
    """A TIFF whose tags all point to the whole file is not copied for each of them."""
    size = 2_000_000
    tags = [
        (tag, 3, 1, value) for tag, value in ((256, 20), (257, 20), (258, 8), (259, 1), (262, 1), (277, 1), (278, 20))
    ]
    tags += [(273, 4, 1, 12 * 2_000), (279, 4, 1, 400), *((tag, 7, size, 8) for tag in range(1_000, 2_000))]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    data = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(size)
    tracemalloc.start()
    decode(data, MAX_PIXELS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 5 * size > peak


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_huge_exif_is_not_parsed(form: str) -> None:
    """EXIF of more than a MiB does not rotate a picture."""
    exif = Image.Exif()
    exif[274] = 6
    exif[0x9286] = bytes(1_100_000)

    np.testing.assert_allclose(grey_of(encode(DIGIT, form, exif=exif, lossless=True)), GREY, atol=0.01)


def test_a_truncated_exif_directory_is_ignored() -> None:
    """EXIF in the form of a BigTIFF without its entries is ignored."""
    exif = b"Exif\0\0II+\0\x08\0\0\0" + struct.pack("<Q", 5)

    np.testing.assert_array_equal(GREY, grey_of(with_chunks(chunk(b"eXIf", exif[6:]))))


def test_a_jpeg_may_have_many_scans() -> None:
    """A progressive JPEG of three times the usual number of scans is read."""
    assert GREY.shape == grey_of(with_scans(20)).shape


# --- Damage


@pytest.mark.parametrize("name", sorted(set(FILES) - {"animated GIF", "TIFF with more pages", "MPO"}))
def test_a_truncated_picture_is_unreadable(name: str) -> None:
    """A part of a file is no picture, in any format."""
    data = FILES[name]
    for share in (0.1, 0.3, 0.6, 0.9):
        with pytest.raises(UnreadablePicture, match="the picture is truncated or corrupt: "):
            decode(data[: int(share * len(data))], MAX_PIXELS)


@pytest.mark.parametrize("name", ["animated GIF", "TIFF with more pages", "MPO"])
def test_only_the_first_frame_has_to_be_complete(name: str) -> None:
    """A truncated later frame is ignored."""
    data = FILES[name]

    np.testing.assert_allclose(grey_of(data[:-100]), GREY, atol=0.25)


@pytest.mark.parametrize(
    "data",
    [
        FILES["PNG"][:60] + b"\xff" * 40 + FILES["PNG"][100:],
        FILES["PNG"][:8] + bytes(100),
        FILES["JPEG"][:2] + bytes(300),
        FILES["JPEG"].replace(b"\xff\xc0", b"\xff\xc3"),
        FILES["WEBP"][:12] + bytes(300),
        FILES["lossless WEBP"][:30] + bytes(200),
        FILES["GIF"][:6] + bytes(300),
        FILES["BMP"][:10] + b"\xff" * 300,
        FILES["TIFF"][:4] + b"\xff" * 300,
        FILES["TIFF"][:8],
        FILES["deflate TIFF"][:10] + b"\xff" * 20 + FILES["deflate TIFF"][30:],
    ],
    ids=[
        "PNG data",
        "PNG header",
        "JPEG header",
        "JPEG coding",
        "WebP header",
        "WebP data",
        "GIF header",
        "BMP header",
        "TIFF header",
        "TIFF without directory",
        "TIFF data",
    ],
)
def test_a_corrupt_picture_is_unreadable(data: bytes) -> None:
    """A file with a picture's magic number and damaged content is corrupt, not unsupported."""
    with pytest.raises(UnreadablePicture, match="the picture is truncated or corrupt: "):
        decode(data, MAX_PIXELS)


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "set", "cut", "insert", "truncate"]),
        st.one_of(st.integers(0, 80), st.integers(0, 10_000)),
        st.one_of(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]), st.integers(0, 255)),
    ),
    min_size=1,
    max_size=6,
)
SMALL = draw(size=(40, 30), mode="RGB", ink=(180, 20, 40), paper=(250, 250, 240))
ROTATED = Image.Exif()
ROTATED[274] = 6
# Made by the test, too.
SMALL_FILES: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: encode(SMALL, exif=ROTATED),
    "PNG palette": lambda: encode(SMALL.convert("P"), transparency=1),
    "PNG 16 bit": lambda: encode(np.linspace(0, 65535, 1200).astype(np.uint16).reshape(30, 40)),
    "APNG": lambda: encode(SMALL, save_all=True, append_images=[SMALL.rotate(90)]),
    "JPEG": lambda: encode(SMALL, "JPEG", exif=ROTATED),
    "JPEG CMYK": lambda: encode(SMALL.convert("CMYK"), "JPEG"),
    "MPO": lambda: encode(SMALL, "MPO", save_all=True, append_images=[SMALL.rotate(90)]),
    "WEBP": lambda: encode(SMALL, "WEBP", exif=ROTATED),
    "WEBP lossless": lambda: encode(SMALL.convert("RGBA"), "WEBP", lossless=True),
    "HEIC": lambda: heic(SMALL, exif=ROTATED.tobytes()),
    "HEIC thumbnail": lambda: heic(SMALL.resize((400, 300)), thumbnail=320),
    "HEIC tiles": lambda: heic(SMALL.resize((400, 300)), tile_size=128),
    "AVIF": lambda: encode(SMALL, "AVIF", exif=ROTATED),
    "AVIF alpha": lambda: encode(SMALL.convert("RGBA"), "AVIF"),
    "GIF": lambda: encode(SMALL, "GIF"),
    "BMP": lambda: encode(SMALL, "BMP"),
    "BMP palette": lambda: encode(SMALL.convert("P"), "BMP"),
    "TIFF": lambda: encode(SMALL, "TIFF", exif=ROTATED),
    "TIFF float": lambda: encode(np.linspace(-1, 1, 1200).astype(np.float32).reshape(30, 40), "TIFF"),
    "TIFF LZW": lambda: encode(SMALL, "TIFF", compression="tiff_lzw"),
    "TIFF fax": lambda: encode(SMALL.convert("1"), "TIFF", compression="group4"),
}


def edit(data: bytes, edits: list[tuple[str, int, int]]) -> bytes:
    """Return a file with some damage."""
    damaged = bytearray(data)
    for kind, place, value in edits:
        at = place % max(len(damaged), 1)
        if kind == "flip":
            damaged[at : at + 1] = bytes(byte ^ (1 << value % 8) for byte in damaged[at : at + 1])
        elif kind == "set":
            damaged[at : at + 1] = bytes([value])
        elif kind == "cut":
            del damaged[at : at + value]
        elif kind == "insert":
            damaged[at:at] = bytes([value]) * (1 + value % 5)
        else:
            del damaged[at:]
    return bytes(damaged)


@pytest.mark.parametrize("name", SMALL_FILES)
def test_damage_results_in_a_picture_or_a_picture_error(name: str) -> None:
    """Whatever bytes of a file change, the result is a picture, or a PictureError with a message of one line."""
    data = SMALL_FILES[name]()

    @settings(max_examples=15)
    @given(EDITS)
    def check(edits: list[tuple[str, int, int]]) -> None:
        try:
            pixels = decode(edit(data, edits), 10_000_000).pixels
        except PictureError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
        else:
            assert np.uint8 == pixels.dtype
            assert WORKING_SIDE >= max(pixels.shape)

    check()


# --- Warnings


def noisy() -> bytes:
    """Return a picture about which Pillow warns: a JPEG with truncated EXIF."""
    return encode(DIGIT, "JPEG", exif=damaged_exif()["cut off in its directory"])


def test_the_noisy_picture_makes_pillow_warn() -> None:
    """Without the filter there is a warning, so the tests below can fail."""
    with pytest.warns(UserWarning, match="EXIF"):
        Image.open(io.BytesIO(noisy())).getexif()


def test_pillows_warnings_do_not_reach_the_log() -> None:
    """An untrusted file cannot make the service write lines to its log."""
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        decode(noisy(), MAX_PIXELS)

    assert [] == shown


def test_other_warnings_are_not_filtered() -> None:
    """Only Pillow's warnings about files are filtered, not its deprecations, nor warnings of other modules."""
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        decode(noisy(), MAX_PIXELS)
        warnings.warn("of ours", UserWarning, stacklevel=1)
        warnings.warn_explicit("old", DeprecationWarning, "Image.py", 1, module="PIL.Image")

    assert ["of ours", "old"] == [str(warning.message) for warning in shown]


def test_the_registry_of_warnings_is_not_reset() -> None:
    """A warning that is shown once is not shown again after each picture, as it would be if a filter were set."""
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("default")
        for _ in range(3):
            decode(noisy(), MAX_PIXELS)
            warnings.warn("of ours", UserWarning, stacklevel=1)

    assert ["of ours"] == [str(warning.message) for warning in shown]


def test_the_filter_is_set_once() -> None:
    """A second picture adds no filter, unless another filter was set in between."""
    with warnings.catch_warnings(record=True) as shown:
        decode(noisy(), MAX_PIXELS)
        filters = list(warnings.filters)
        decode(noisy(), MAX_PIXELS)

        assert filters == list(warnings.filters)
        warnings.simplefilter("always")
        decode(noisy(), MAX_PIXELS)

    assert [] == shown


def test_decoding_is_thread_safe() -> None:
    """Several threads decode the same pixels as one, without warnings."""
    files = [noisy(), FILES["PNG"], FILES["WEBP"], FILES["LZW TIFF"]]
    expected = [grey_of(data).tobytes() for data in files]
    results: list[bytes] = [b""] * 32

    def work(start: int) -> None:
        for i in range(start, len(results), 4):
            results[i] = grey_of(files[i % len(files)]).tobytes()

    threads = [threading.Thread(target=work, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert expected * 8 == results


# --- PNG

TINY = encode(draw(size=(28, 28)))
# An ancillary chunk of text: a PNG with it is decoded by Pillow's plugin.
TEXT = chunk(b"tEXt", b"key\0text")


def with_chunk(data: bytes, more: bytes) -> bytes:
    """Return a PNG with one more chunk behind its header."""
    return data[:33] + more + data[33:]


@given(
    st.sampled_from(["L", "RGB", "RGBA"]),
    st.integers(1, 56),
    st.integers(1, 56),
    st.sampled_from([0, 1, 40, 255]),
    st.integers(0, 2**32 - 1),
)
def test_a_plain_png_is_decoded_as_by_pillow(mode: str, width: int, height: int, noise: int, seed: int) -> None:
    """The short path gives the same pixels as Pillow's plugin, whatever the filters of the rows."""
    slope = np.add.outer(np.arange(height), np.arange(width))[:, :, None] * np.ones(len(mode), int)
    values = slope + np.random.default_rng(seed).integers(0, noise + 1, slope.shape)
    data = encode(Image.fromarray(values.astype(np.uint8)[:, :, 0] if mode == "L" else values.astype(np.uint8)))
    plain, other = decode(data, 10_000), decode(with_chunk(data, TEXT), 10_000)

    np.testing.assert_array_equal(other.pixels, plain.pixels)
    assert (other.format, other.width, other.height) == (plain.format, plain.width, plain.height)


def interrupted(data: bytes) -> bytes:
    """Return a PNG with a tIME chunk between two halves of its pixels."""
    length = int.from_bytes(data[33:37])
    halves = [chunk(b"IDAT", half) for half in (data[41:61], data[61 : 41 + length])]
    return data[:33] + halves[0] + chunk(b"tIME", bytes(7)) + halves[1] + chunk(b"IEND")


@pytest.mark.parametrize(
    "data",
    [
        TINY[:33] + chunk(b"IDAT", b"no pixels") + chunk(b"IEND"),
        TINY[:33] + chunk(b"IEND"),
        TINY[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", 28, 0, 8, 0, 0, 0, 0)) + TINY[33:],
        TINY[:8] + chunk(b"IHDR", TINY[16:28]) + TINY[33:],
    ],
    ids=["damaged pixels", "no pixels", "no height", "short header"],
)
def test_damaged_pngs_with_valid_checksums_are_unreadable(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    """They are unreadable, and the decoders write nothing to the log."""
    with pytest.raises(UnreadablePicture):
        decode(data, 10_000)

    assert ("", "") == capfd.readouterr()


@pytest.mark.parametrize(
    "data",
    [interrupted(TINY), with_chunk(TINY, chunk(b"gAMA", b"1")), with_chunk(TINY, chunk(b"gAMA", bytes(4)))],
    ids=["interrupted pixels", "damaged gamma", "gamma"],
)
def test_chunks_that_change_no_pixel_are_ignored(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    """Time and gamma are ignored at any place, also when damaged, and nothing is written to the log."""
    np.testing.assert_array_equal(decode(TINY, 10_000).pixels, decode(data, 10_000).pixels)
    assert ("", "") == capfd.readouterr()


@pytest.mark.parametrize("data", [TINY, with_chunk(TINY, TEXT)], ids=["plain", "by Pillow"])
def test_every_flipped_bit_of_a_png_is_detected(data: bytes) -> None:
    """Each bit is in the signature or under a checksum. Behind the header, the error is that of a damaged file."""
    for place, bit in itertools.product(range(len(data)), range(8)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << bit
        with pytest.raises(UnreadablePicture if place >= 33 else PictureError, match=r"truncated or corrupt|send "):
            decode(bytes(damaged), 10_000)


@pytest.mark.parametrize("data", [TINY, with_chunk(TINY, TEXT)], ids=["plain", "by Pillow"])
def test_every_truncation_of_a_png_is_detected(data: bytes) -> None:
    """A PNG without its last bytes is truncated, also where it has all pixels."""
    for length in range(4, len(data)):
        with pytest.raises(UnreadablePicture, match="truncated"):
            decode(data[:length], 10_000)


def test_chunks_are_checked_and_counted() -> None:
    """A wrong checksum and too many chunks raise an error."""
    assert [b"IHDR", b"IDAT", b"IEND"] == [kind for kind, _ in png_chunks(TINY)]
    with pytest.raises(OSError, match="checksum"):
        list(png_chunks(TINY[:50] + b"\0" + TINY[51:]))
    with pytest.raises(OSError, match="too many parts"):
        deque(png_chunks(with_chunk(TINY, 100_000 * chunk(b"tEXt"))), maxlen=0)


def test_small_pngs_are_recognised_by_the_header() -> None:
    """A digit in MNIST form and a canvas drawing are small; a larger PNG, another format and a padded file are not."""
    assert is_small_png(TINY)
    assert is_small_png(encode(draw(size=(300, 300))))
    assert not is_small_png(encode(draw(size=(301, 300))))
    assert not is_small_png(encode(draw(size=(28, 28)), "BMP"))
    assert not is_small_png(TINY + bytes(32 * 1024))
    assert not is_small_png(b"")
    assert not is_small_png(encode(np.zeros((3000, 3000), np.uint8))[:16_000])


@pytest.mark.parametrize(
    "more",
    [
        compressed_chunk(b"zTXt", 100_000),
        compressed_chunk(b"iTXt", 100_000),
        compressed_chunk(b"iCCP", 100_000),
        chunk(b"IHDR", struct.pack(">IIBBBBB", 3000, 3000, 1, 0, 0, 0, 0)),
    ],
    ids=["text", "international text", "profile", "second header"],
)
def test_a_possible_bomb_is_not_small(more: bytes) -> None:
    """A PNG with compressed chunks, or with a second header, is not small, whatever its header."""
    assert not is_small_png(with_chunk(TINY, more))
    assert not is_small_png(TINY[:8] + chunk(b"tEXt", TINY[16:24]) + TINY[8:])


# --- JPEG


PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8), "RGB").resize(
    (400, 500), Image.Resampling.BICUBIC
)


@pytest.mark.parametrize(
    "options", [{}, {"subsampling": 0, "quality": 95}, {"restart_marker_rows": 1}], ids=["usual", "finer", "restarts"]
)
@pytest.mark.parametrize("image", [DIGIT, PHOTO], ids=["digit", "photo"])
def test_a_jpeg_may_lack_its_end_marker(image: Image.Image, options: dict[str, Any]) -> None:
    """Some cameras and streams omit one or both of its bytes; no pixel is missing."""
    data = encode(image, "JPEG", **options)
    expected = decode(data, MAX_PIXELS, side=100).pixels
    for missing in (1, 2):
        np.testing.assert_array_equal(expected, decode(data[:-missing], MAX_PIXELS, side=100).pixels)


@pytest.mark.parametrize("image", [DIGIT, PHOTO], ids=["digit", "photo"])
def test_a_jpeg_may_not_lack_pixels(image: Image.Image) -> None:
    """Missing pixels, which libjpeg fills with grey, are detected, down to the last bytes."""
    data = encode(image, "JPEG")
    for missing in (3, 4, 5, 8, 20, 50, 200, 1000):
        with pytest.raises(UnreadablePicture, match="it is cut off"):
            decode(data[:-missing], MAX_PIXELS)


def test_a_progressive_jpeg_needs_its_end_marker() -> None:
    """Without it the number of scans is unknown."""
    with pytest.raises(UnreadablePicture):
        decode(FILES["progressive JPEG"][:-2], MAX_PIXELS)


# --- BMP


def test_a_bmp_whose_alpha_is_0_everywhere_has_none() -> None:
    """The fourth byte of its pixels is padding, which some programs declare as alpha. In a PNG it is alpha."""
    data = bmp_with_alpha(COLOURED, 0)
    hidden = COLOURED.convert("RGBA")
    hidden.putalpha(0)

    np.testing.assert_array_equal(decode(encode(COLOURED), MAX_PIXELS).pixels, decode(data, MAX_PIXELS).pixels)
    assert 255 == decode(encode(hidden), MAX_PIXELS).pixels.min()


def test_a_bmp_with_alpha_is_flattened() -> None:
    """Where any pixel is visible, the channel is alpha."""
    assert 155 == decode(bmp_with_alpha(COLOURED, 100), MAX_PIXELS).pixels.min()


def bmp_with_alpha(image: Image.Image, alpha: int) -> bytes:
    """Return a BMP of 32 bits a pixel with the header of Windows 98 (V5), and with this alpha in each pixel."""
    image = image.convert("RGBA")
    image.putalpha(alpha)
    content = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM).tobytes("raw", "BGRA")
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 124, image.width, image.height, 1, 32, 3, len(content), 2835, 2835, 0, 0)
    rest = masks + b"BGRs" + bytes(124 - 40 - 16 - 4)
    return b"BM" + struct.pack("<IHHI", 138 + len(content), 0, 0, 138) + header + rest + content


# --- Accepted formats


@pytest.mark.parametrize(("name", "data"), [("JPEG", FILES["JPEG"]), ("WebP", FILES["WEBP"])])
def test_fewer_formats_may_be_accepted(name: str, data: bytes) -> None:
    """A picture in another format is refused, damaged or not. The message names it and the accepted formats."""
    assert (200, 200) == decode(data, MAX_PIXELS, formats=("PNG", name)).pixels.shape[:2]
    for content in (data, data[:30]):
        with pytest.raises(UnsupportedFormat, match=rf"{name} pictures are not accepted here: send PNG or GIF$"):
            decode(content, MAX_PIXELS, formats=("PNG", "GIF"))
    with pytest.raises(UnsupportedFormat, match=r"PNG pictures are not accepted here: send TIFF$"):
        decode(FILES["PNG"], MAX_PIXELS, formats=["TIFF"])


# --- Tests of the helpers above


@pytest.mark.parametrize(
    ("data", "size"),
    [(png_header(30, 20), (30, 20)), (tiled_tiff(10, 32), (10, 10))],
    ids=["PNG", "TIFF"],
)
def test_handmade_files_have_the_size_that_was_asked_for(data: bytes, size: tuple[int, int]) -> None:
    """Pillow reads it from their headers."""
    assert size == Image.open(io.BytesIO(data)).size


# --- The in-flight pixel budget


def test_large_pictures_wait_for_the_budget() -> None:
    """Threads decode no more pixels at once than the budget has; small pictures do not wait."""
    picture = encode(np.zeros((1200, 1000), np.uint8))
    budget = PixelBudget(2_000_000)
    done = threading.Event()

    def read() -> None:
        decode(picture, 2_000_000, budget)
        done.set()

    with budget.reserve(1_000_000):
        thread = threading.Thread(target=read)
        thread.start()
        decode(encode(draw(4)), 2_000_000, budget)
        waited = not done.wait(0.2)
    thread.join(30)

    assert waited
    assert done.is_set()
