"""Tests of service.images.heif, and of how service.images.decoding reads HEIC and AVIF."""

from __future__ import annotations

import io
import struct
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps

from service.errors import PictureTooLarge, UnreadablePicture, UnsupportedFormat
from service.images import heif
from service.images.decoding import HEIF_MAX_PIXELS, WORKING_SIDE, Picture, PixelBudget, decode, format_names
from service.images.grayscale import colour_axis, to_grey
from service.images.heif import FormatError
from tests.pictures import draw, encode, heic

MAX_PIXELS = 50_000_000
COLOURED = draw(size=(120, 80), mode="RGB", ink=(180, 20, 40), paper=(250, 250, 240))


def avif(image: Image.Image, **options: Any) -> bytes:
    """Return an AVIF file."""
    return encode(image, "AVIF", quality=90, speed=10, **options)


WRITERS: dict[str, Callable[..., bytes]] = {"HEIC": heic, "AVIF": avif}


def with_size(data: bytes, width: int, height: int) -> bytes:
    """Return a file whose first picture declares this size, whatever the size of its frames."""
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


def with_brand(data: bytes, brand: bytes) -> bytes:
    """Return a file whose first brand is another."""
    return data[:8] + brand + data[12:]


def difference(picture: Picture, expected: Image.Image) -> float:
    """Return the mean absolute difference of two pictures in grey, 0..255, on the colour axis of the latter."""
    pixels = np.asarray(expected)
    axis = colour_axis(pixels) if pixels.ndim == picture.pixels.ndim == 3 else None
    grey = to_grey(picture.pixels, axis).astype(float)
    assert grey.shape == (expected.height, expected.width)
    return float(np.abs(grey - to_grey(pixels, axis).astype(float)).mean())


# --- Pictures


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_every_mode_is_read(form: str, mode: str) -> None:
    """The decoded pixels are those that were encoded, up to the loss of the format."""
    image = COLOURED.convert(mode)
    picture = decode(WRITERS[form](image), MAX_PIXELS)

    assert (form, 120, 80) == (picture.format, picture.width, picture.height)
    assert np.uint8 == picture.pixels.dtype
    assert picture.pixels.flags.c_contiguous
    assert 6 > difference(picture, image.convert("L") if mode == "L" else COLOURED)


@pytest.mark.parametrize("form", WRITERS)
def test_a_drawing_in_the_alpha_channel_is_read(form: str) -> None:
    """Transparency has the same effect as in other formats."""
    image = Image.new("RGBA", (200, 200))
    image.putalpha(ImageOps.invert(draw()))

    assert 3 > difference(decode(WRITERS[form](image), MAX_PIXELS), draw())


@pytest.mark.parametrize("bits", [10, 12])
def test_more_than_8_bits_are_read(bits: int) -> None:
    """Cameras write 10 bits, in grey and in colour."""
    grey = np.asarray(draw(), np.uint16) * 257
    for image in (grey, np.dstack(3 * [grey])):
        mode = "I;16" if image.ndim == 2 else "RGB;16"
        buffer = io.BytesIO()
        file = pillow_heif.from_bytes(mode=mode, size=(200, 200), data=image.tobytes())
        file[0].info["bit_depth"] = bits
        file.save(buffer, quality=90)

        assert 3 > difference(decode(buffer.getvalue(), MAX_PIXELS), draw())


@pytest.mark.parametrize(("form", "thumbnail"), [("HEIC", None), ("HEIC", 60), ("AVIF", None)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_applied_once(form: str, orientation: int, thumbnail: int | None) -> None:
    """The file contains it twice, in the container and in EXIF. Only one of them is applied."""
    exif = Image.Exif()
    exif[274] = orientation
    turned = COLOURED.copy()
    turned.info["exif"] = exif.tobytes()
    expected = ImageOps.exif_transpose(turned)
    data = heic(COLOURED, thumbnail, exif=exif.tobytes()) if form == "HEIC" else avif(COLOURED, exif=exif)
    picture = decode(data, MAX_PIXELS, side=60 if thumbnail and form == "HEIC" else WORKING_SIDE)

    if picture.pixels.shape[0] != expected.height:
        expected = expected.reduce(2)
    assert b"irot" in data or b"imir" in data or orientation == 1
    assert 6 > difference(picture, expected)


@pytest.mark.parametrize("form", WRITERS)
def test_large_pictures_are_downsampled_by_a_whole_factor(form: str) -> None:
    """600 pixels become 200, and the header's size is reported."""
    picture = decode(WRITERS[form](draw(size=(600, 400))), MAX_PIXELS)

    assert (134, 200) == picture.pixels.shape[:2]
    assert (600, 400) == (picture.width, picture.height)


def test_tiles_are_put_together() -> None:
    """Phones store large pictures as grids of tiles."""
    image = draw(size=(250, 200))

    assert 3 > difference(decode(heic(image.convert("RGB"), tile_size=128), MAX_PIXELS), image)


def test_the_primary_item_of_an_animation_is_read() -> None:
    """An animated AVIF also has a still picture."""
    data = avif(COLOURED, save_all=True, append_images=[COLOURED.rotate(90)])

    assert b"avis" == data[8:12]
    assert 6 > difference(decode(data, MAX_PIXELS), COLOURED)


# --- Brands


@pytest.mark.parametrize(("form", "kind"), [("HEIC", "hvc1"), ("AVIF", "av01")])
def test_the_general_brand_stands_for_either(form: str, kind: str) -> None:
    """A file with the major brand mif1 has the format of its compatible brands."""
    data = with_brand(WRITERS[form](COLOURED), b"mif1")

    assert kind.encode() in data
    assert form == decode(data, MAX_PIXELS).format


def test_videos_and_raw_files_are_unsupported() -> None:
    """MP4, QuickTime and CR3 files have the same container with other brands."""
    for brand in (b"isom", b"qt  ", b"crx "):
        with pytest.raises(
            UnsupportedFormat, match=f"this is not a picture in an accepted format: send {format_names()}"
        ):
            decode(b"\x00\x00\x00\x14ftyp" + brand + bytes(100), MAX_PIXELS)


@pytest.mark.parametrize("form", WRITERS)
def test_heic_and_avif_can_be_excluded(form: str) -> None:
    """Their decoders are not run where the accepted formats do not include them."""
    with pytest.raises(UnsupportedFormat, match=f"{form} pictures are not accepted here: send PNG or JPEG"):
        decode(WRITERS[form](COLOURED), MAX_PIXELS, formats=("PNG", "JPEG"))


# --- Size


@pytest.mark.parametrize("form", WRITERS)
def test_heic_and_avif_have_a_lower_limit(form: str) -> None:
    """It is checked by the header, before decoding. The general limit applies where it is lower."""
    data = WRITERS[form](COLOURED)
    assert HEIF_MAX_PIXELS < 5000 * 4000 < MAX_PIXELS
    with pytest.raises(PictureTooLarge, match=r"5000 x 4000 pixels, 20\.0 megapixels to decode, more than the 16 that"):
        decode(with_size(data, 5000, 4000), MAX_PIXELS)
    with pytest.raises(PictureTooLarge, match=r"more than the 0\.009599 that"):
        decode(data, 120 * 80 - 1)
    with pytest.raises(PictureTooLarge, match="too long and thin"):
        decode(with_size(data, 9000, 10), MAX_PIXELS)


def test_the_limit_counts_frames() -> None:
    """Decoding a picture of a small declared size with large frames would take the memory of the frames."""
    with pytest.raises(PictureTooLarge, match=r"12 x 8 pixels, 0\.0 megapixels to decode, more than the 0\.005 that"):
        decode(with_size(avif(COLOURED), 12, 8), 5000)
    with pytest.raises(UnreadablePicture):
        decode(with_size(heic(COLOURED), 12, 8), 5000)


def test_heic_pixels_reserve_more_of_the_budget() -> None:
    """A HEIC pixel takes eight times as long, and counts eight times. A cost above the capacity takes all of it."""
    picture = heic(draw(size=(400, 400)))
    budget, done = PixelBudget(1_000_000), threading.Event()

    def read() -> None:
        decode(picture, MAX_PIXELS, budget)
        done.set()

    with budget.reserve(1):
        thread = threading.Thread(target=read)
        thread.start()
        waited = not done.wait(0.2)
    thread.join(30)

    assert waited
    assert done.is_set()


# --- Thumbnails


@cache
def with_thumbnail() -> bytes:
    """Return a HEIC file of 800 x 600 pixels with a thumbnail of 320 x 240."""
    return heic(draw(size=(800, 600)).convert("RGB"), thumbnail=320)


def test_a_large_enough_thumbnail_is_read() -> None:
    """Damaged pixels of the picture itself have no effect, and the reported size is the picture's."""
    image = draw(size=(800, 600)).convert("RGB")
    data = bytearray(with_thumbnail())
    start = data.index(b"mdat") + 4
    data[start + 100 : start + 600] = bytes(500)
    picture = decode(bytes(data), MAX_PIXELS)

    assert (800, 600) == (picture.width, picture.height)
    assert 3 > difference(picture, image.resize((288, 216), Image.Resampling.BOX))
    assert 20 < difference(decode(bytes(data), MAX_PIXELS, side=400), image.reduce(2))


def test_the_lower_limit_counts_the_thumbnail() -> None:
    """Where a thumbnail is decoded, its pixels count for the limit of HEIC, and the picture's for the general limit."""
    data = with_size(with_thumbnail(), 6000, 4500)

    assert (6000, 4500) == (decode(data, MAX_PIXELS).width, decode(data, MAX_PIXELS).height)
    with pytest.raises(PictureTooLarge, match=r"27\.0 megapixels to decode, more than the 20 that"):
        decode(data, 20_000_000)


@pytest.mark.parametrize(
    ("size", "side"), [((800, 600), 321), ((800, 500), 320), ((600, 800), 320)], ids=["smaller", "cut", "turned"]
)
def test_thumbnails_that_do_not_match_are_ignored(size: tuple[int, int], side: int) -> None:
    """They have too few pixels, or another aspect ratio than the picture."""
    data = with_size(with_thumbnail(), *size)

    assert heif.with_thumbnail_as_primary(with_size(data, 800, 600), 320)
    assert heif.with_thumbnail_as_primary(data, side) is None


# --- Malicious files


def box(kind: bytes, content: bytes = b"", version: int | None = None) -> bytes:
    """Return a box, with version and flags where a version is given."""
    head = b"" if version is None else struct.pack(">I", version << 24)
    return struct.pack(">I", 8 + len(head) + len(content)) + kind + head + content


def meta(*boxes: bytes) -> bytes:
    """Return the meta box of a file."""
    return box(b"meta", b"".join(boxes), 0)


def references(*found: tuple[bytes, int, list[int]], version: int = 0) -> bytes:
    """Return the box of references: kind, item, and those that it refers to."""
    number = ">I" if version else ">H"
    boxes = [
        box(kind, struct.pack(number, item) + struct.pack(">H", len(to)) + b"".join(struct.pack(number, i) for i in to))
        for kind, item, to in found
    ]
    return box(b"iref", b"".join(boxes), version)


def item_types(*found: tuple[int, bytes], version: int = 2) -> bytes:
    """Return the box of the types of items."""
    entries = [
        box(b"infe", struct.pack(">H" if version == 2 else ">I", item) + b"\0\0" + kind + b"\0", version)
        for item, kind in found
    ]
    return box(b"iinf", struct.pack(">H" if version == 2 else ">I", len(found)) + b"".join(entries), version - 2)


def properties(sizes: dict[int, tuple[int, int]], version: int = 0, flags: int = 0) -> bytes:
    """Return the box of properties: the size of each item, and another property."""
    shared = [box(b"ispe", struct.pack(">II", *size), 0) for size in sizes.values()]
    entries = b"".join(
        struct.pack(">I" if version else ">H", item) + b"\1" + (i + 1).to_bytes(2 if flags else 1)
        for i, item in enumerate(sizes)
    )
    ipma = box(b"ipma", struct.pack(">II", version << 24 | flags, len(sizes)) + entries)
    return box(b"iprp", box(b"ipco", b"".join(shared)) + ipma + box(b"free"))


@pytest.mark.parametrize(("version", "flags"), [(0, 0), (1, 1)])
def test_numbers_of_either_length_are_read(version: int, flags: int) -> None:
    """Items have numbers of 2 or 4 bytes, properties of 1 or 2."""
    number = ">I" if version else ">H"
    parts = (
        box(b"pitm", struct.pack(number, 1), version),
        properties({1: (800, 600), 2: (400, 300), 3: (320, 240)}, version, flags),
    )
    found = (b"cdsc", 4, [1]), (b"thmb", 3, [2]), (b"thmb", 2, [1, 7])
    data = meta(*parts, references(*found, version=version))
    expected = meta(
        box(b"pitm", struct.pack(number, 2), version),
        parts[1],
        references(*found[:2], (b"none", *found[2][1:]), version=version),
    )

    assert expected == heif.with_thumbnail_as_primary(data, 400)


def test_items_without_a_size_are_ignored() -> None:
    """A thumbnail without a size, or of a picture without a size, is not used."""
    primary = box(b"pitm", struct.pack(">H", 1), 0)
    for sizes in ({2: (400, 300)}, {1: (400, 300)}):
        data = meta(primary, properties(sizes), references((b"thmb", 2, [1])))
        assert heif.with_thumbnail_as_primary(data, 100) is None
    empty = box(b"iprp", box(b"ipco") + box(b"ipma", struct.pack(">IIHBBHBB", 0, 2, 1, 1, 9, 2, 1, 0)))
    nameless = box(b"iprp", box(b"ipco", box(b"pixi")) + box(b"ipma", struct.pack(">IIHBBHBB", 0, 2, 1, 1, 1, 2, 1, 1)))
    for one in (empty, nameless):
        assert heif.with_thumbnail_as_primary(meta(primary, one, references((b"thmb", 2, [1]))), 100) is None
    assert heif.with_thumbnail_as_primary(meta(), 100) is None
    assert heif.with_thumbnail_as_primary(b"", 100) is None


def test_references_to_metadata_are_removed() -> None:
    """So libheif does not copy the metadata for each of many pictures."""
    data = meta(references((b"cdsc", 4, [1]), (b"thmb", 2, [1]), (b"cdsc", 5, [1])))

    assert meta(references((b"none", 4, [1]), (b"thmb", 2, [1]), (b"none", 5, [1]))) == heif.without_metadata(
        data, "HEIC"
    )


def test_overlays_are_refused() -> None:
    """Their canvas may be larger than the declared size of the picture."""
    for version in (2, 3):
        with pytest.raises(FormatError, match="overlay"):
            heif.without_metadata(meta(item_types((1, b"hvc1"), (2, b"iovl"), version=version)), "HEIC")
        assert heif.without_metadata(meta(item_types((1, b"hvc1"), version=version)), "HEIC")


def test_the_pixels_of_tiles_are_counted() -> None:
    """The tiles of the picture and of its alpha channel count, each repetition too. A tile may have no tiles itself."""
    sizes = properties({1: (800, 600), 2: (512, 512), 3: (100, 100)})
    primary = box(b"pitm", struct.pack(">H", 1), 0)
    found = (b"dimg", 1, [2, 2, 2]), (b"auxl", 5, [1]), (b"dimg", 5, [3]), (b"dimg", 6, [2])

    assert 3 * 512 * 512 + 100 * 100 == heif.tile_pixels(meta(primary, sizes, references(*found)))
    with pytest.raises(FormatError, match="tiles of tiles"):
        heif.tile_pixels(meta(primary, sizes, references(*found, (b"dimg", 2, [3]))))


def test_two_boxes_of_one_kind_are_refused() -> None:
    """Decoders differ in which one they read."""
    one = box(b"pitm", struct.pack(">H", 1), 0)
    for data in (meta(one, one), meta(one) + meta(one)):
        with pytest.raises(FormatError, match="two boxes pitm"):
            heif.without_metadata(data, "HEIC")


@pytest.mark.parametrize(
    "data",
    [
        2001 * box(b"free"),
        meta(references(*[(b"thmb", 2, [1])] * 2001)),
        meta(references((b"dimg", 2, list(range(2001))))),
    ],
    ids=["boxes", "references", "tiles"],
)
def test_files_of_too_many_parts_are_refused(data: bytes) -> None:
    """Reading millions of parts would take seconds."""
    with pytest.raises(FormatError, match="too many parts"):
        heif.without_metadata(data, "HEIC")


def test_box_sizes_of_every_form_are_read() -> None:
    """A size may have 8 bytes, and 0 means up to the end of the file."""
    content = meta(box(b"pitm", struct.pack(">H", 1), 0))[8:]
    long = struct.pack(">I4sQ", 1, b"meta", 16 + len(content)) + content
    last = struct.pack(">I4s", 0, b"meta") + content

    for data in (long, last):
        assert data == heif.without_metadata(data, "HEIC")
    with pytest.raises(FormatError, match="ends early"):
        heif.with_thumbnail_as_primary(long[:-1], 100)
    assert long + b"more" == heif.without_metadata(long + b"more", "HEIC")


# --- Frames of AV1


def header(
    width: int, height: int, bits: tuple[int, int] | None = None, points: str = "", *, timing: str = "0"
) -> bytes:
    """Return a sequence header, in the reduced form where no operating points are given."""
    n_bits = bits or ((width - 1).bit_length(), (height - 1).bit_length())
    start = f"00000{timing}{points}" if points else "00011" + "00000"
    size = f"{n_bits[0] - 1:04b}{n_bits[1] - 1:04b}{width - 1:0{n_bits[0]}b}{height - 1:0{n_bits[1]}b}"
    whole = start + size
    whole += "0" * (-len(whole) % 8)
    return int(whole, 2).to_bytes(len(whole) // 8)


def unit(kind: int, content: bytes = b"", *, has_size: bool = True, extension: bool = False) -> bytes:
    """Return an open bitstream unit."""
    head = bytes([kind << 3 | extension << 2 | has_size << 1]) + bytes(extension)
    return head + (bytes([len(content)]) if has_size else b"") + content


def file_with(stream: bytes, kind: bytes = b"av01", version: int = 0) -> bytes:
    """Return an AVIF file with one item in two extents, which are in the box `idat` for versions 1 and 2 of `iloc`."""
    half = len(stream) // 2
    pieces = [(0, half), (half, len(stream) - half)]

    def table(base: int) -> bytes:
        number = ">I" if version == 2 else ">H"
        construction = struct.pack(">H", 1) if version else b""
        extents = b"".join(bytes(bool(version)) + struct.pack(">HH", start, length) for start, length in pieces)
        entry = struct.pack(number, 7) + construction + struct.pack(">HI", 0, base) + struct.pack(">H", 2) + extents
        return box(b"iloc", struct.pack(">H", 0x2240 | bool(version)) + struct.pack(number, 1) + entry, version)

    items = item_types((7, kind))
    if version:
        return meta(items, table(0), box(b"idat", stream))
    return meta(items, table(len(meta(items, table(0))) + 8)) + box(b"mdat", stream)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_frames_are_found_in_the_file(version: int) -> None:
    """An item's bytes may be in the file or in `idat`, with other units between its frames."""
    stream = unit(2) + unit(1, header(640, 480)) + unit(6, b"frame", extension=True) + unit(4, b"tiles")
    stream += unit(1, header(1280, 720)) + unit(3, b"frame") + unit(6, b"to the end", has_size=False)

    assert [640 * 480, 1280 * 720, 1280 * 720] == heif.frame_pixels(file_with(stream, version=version))
    assert [] == heif.frame_pixels(file_with(stream, b"Exif", version=version))


@pytest.mark.parametrize(("numbers", "expected"), [(">HH", 800 * 600), (">II", 70_000 * 600)])
def test_the_canvas_of_a_grid_is_counted(numbers: str, expected: int) -> None:
    """Its width and height follow its rows and columns."""
    grid = b"\0\0\1\1" + struct.pack(numbers, 800 if numbers == ">HH" else 70_000, 600)

    assert [expected] == heif.frame_pixels(file_with(grid, b"grid"))


# Flag for delays, number of further operating points, and for each: its layers, level, tier if high, and delay.
ONE_POINT = "0" + "00000" + 12 * "0" + "00100"
TWO_POINTS = "1" + "00001" + 12 * "0" + "01000" + "1" + "1" + "0101" + 12 * "0" + "00111" + "0"


@pytest.mark.parametrize("points", [ONE_POINT, TWO_POINTS], ids=["one", "two"])
def test_long_sequence_headers_are_read(points: str) -> None:
    """Headers of videos have more fields. Where frames may override their size, the largest possible size counts."""
    stream = unit(1, header(640, 480, points=points)) + unit(6)
    roomy = unit(1, header(10, 10, (12, 11), points=points)) + unit(6)

    assert [640 * 480] == heif.frame_pixels(file_with(stream))
    assert [2048 * 1024] == heif.frame_pixels(file_with(roomy))


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (unit(1, header(640, 480)[:-2]) + unit(6), "a sequence header ends early"),
        (unit(1, header(640, 480, points=ONE_POINT, timing="1")), "timing of a video"),
        (unit(1, header(640, 480))[:-2], "a part of it ends early"),
        (b"\x0a" + 8 * b"\xff" + b"\0", "a part of it ends early"),
        (2001 * unit(2), "too many parts"),
    ],
    ids=["header", "timing", "unit", "long number", "units"],
)
def test_damaged_streams_are_refused(stream: bytes, message: str) -> None:
    """A stream that cannot be parsed completely might have larger frames."""
    with pytest.raises(FormatError, match=message):
        heif.frame_pixels(file_with(stream))


def test_items_that_share_their_bytes_are_refused() -> None:
    """Reading a thousand of them would take a thousand times as long."""
    entry = struct.pack(">HHI", 7, 0, 0) + struct.pack(">H", 1) + struct.pack(">HH", 0, 0)
    table = box(b"iloc", struct.pack(">HH", 0x2240, 2) + 2 * entry, 0)

    with pytest.raises(FormatError, match="overlap"):
        heif.frame_pixels(meta(table))


def test_frames_of_libaom_have_the_size_of_the_picture() -> None:
    """With alpha there are two. An animation has the size of its first picture."""
    alpha = COLOURED.convert("RGBA")
    alpha.putalpha(100)

    assert [120 * 80] == heif.frame_pixels(avif(COLOURED))
    assert [120 * 80, 120 * 80] == heif.frame_pixels(avif(alpha))
    assert {120 * 80} == {*heif.frame_pixels(avif(COLOURED, save_all=True, append_images=[COLOURED.rotate(90)]))}
