"""Tests of service.images.heif, and of how service.images.decoding reads HEIC and AVIF."""

from __future__ import annotations

import io
import struct
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps

from service.errors import PictureTooLarge, UnreadablePicture, UnsupportedFormat
from service.images import heif
from service.images.decoding import HEIF_MAX_PIXELS, WORKING_SIDE, Budget, Picture, accepted, decode
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
    """Return a file whose first picture claims to have this size, whatever its frames have."""
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


def with_brand(data: bytes, brand: bytes) -> bytes:
    """Return a file whose first brand is another."""
    return data[:8] + brand + data[12:]


def difference(picture: Picture, expected: Image.Image) -> float:
    """Return how far a picture's grey is from another's on average, 0..255, along the axis of the latter."""
    pixels = np.asarray(expected)
    axis = colour_axis(pixels) if pixels.ndim == picture.pixels.ndim == 3 else None
    grey = to_grey(picture.pixels, axis).astype(float)
    assert grey.shape == (expected.height, expected.width)
    return float(np.abs(grey - to_grey(pixels, axis).astype(float)).mean())


# --- Pictures


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_every_mode_is_read(form: str, mode: str) -> None:
    """The picture comes out as it went in, as far as its format keeps it."""
    image = COLOURED.convert(mode)
    picture = decode(WRITERS[form](image), MAX_PIXELS)

    assert (form, 120, 80) == (picture.format, picture.width, picture.height)
    assert np.uint8 == picture.pixels.dtype
    assert picture.pixels.flags.c_contiguous
    assert 6 > difference(picture, image.convert("L") if mode == "L" else COLOURED)


@pytest.mark.parametrize("form", WRITERS)
def test_a_drawing_in_alpha_alone_is_read(form: str) -> None:
    """Transparency counts as in other formats."""
    image = Image.new("RGBA", (200, 200))
    image.putalpha(ImageOps.invert(draw()))

    assert 3 > difference(decode(WRITERS[form](image), MAX_PIXELS), draw())


@pytest.mark.parametrize("bits", [10, 12])
def test_more_than_8_bits_are_read(bits: int) -> None:
    """Cameras write 10 bits, in grey as in colour."""
    grey = np.asarray(draw(), np.uint16) * 257
    for image in (grey, np.dstack(3 * [grey])):
        mode = "I;16" if image.ndim == 2 else "RGB;16"
        buffer = io.BytesIO()
        file = pillow_heif.from_bytes(mode=mode, size=(200, 200), data=image.tobytes())
        file[0].info["bit_depth"] = bits
        file.save(buffer, quality=90)

        assert 3 > difference(decode(buffer.getvalue(), MAX_PIXELS), draw())


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("thumbnail", [None, 60])
def test_pictures_are_turned_once(form: str, orientation: int, thumbnail: int | None) -> None:
    """The file says in two places how it was held, in the container and in EXIF: one of them counts."""
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
def test_large_pictures_are_reduced_by_a_whole_factor(form: str) -> None:
    """As in other formats."""
    picture = decode(WRITERS[form](draw(size=(600, 400))), MAX_PIXELS)

    assert (134, 200) == picture.pixels.shape[:2]
    assert (600, 400) == (picture.width, picture.height)


def test_tiles_are_put_together() -> None:
    """Phones cut large pictures into tiles."""
    image = draw(size=(250, 200))

    assert 3 > difference(decode(heic(image.convert("RGB"), tile_size=128), MAX_PIXELS), image)


def test_of_a_film_the_picture_is_read() -> None:
    """An animated AVIF has a first picture besides."""
    data = avif(COLOURED, save_all=True, append_images=[COLOURED.rotate(90)])

    assert b"avis" == data[8:12]
    assert 6 > difference(decode(data, MAX_PIXELS), COLOURED)


# --- What it is


@pytest.mark.parametrize(("form", "kind"), [("HEIC", "hvc1"), ("AVIF", "av01")])
def test_the_general_brand_stands_for_either(form: str, kind: str) -> None:
    """Of files that call themselves pictures of some kind, a further brand says which."""
    data = with_brand(WRITERS[form](COLOURED), b"mif1")

    assert kind.encode() in data
    assert form == decode(data, MAX_PIXELS).format


@pytest.mark.parametrize("brand", [b"isom", b"qt  ", b"crx "])
def test_a_film_or_raw_file_is_no_picture(brand: bytes) -> None:
    """They have the same form."""
    with pytest.raises(UnsupportedFormat, match=f"this is not a picture in an accepted format: send {accepted()}"):
        decode(b"\x00\x00\x00\x14ftyp" + brand + bytes(100), MAX_PIXELS)


@pytest.mark.parametrize("form", WRITERS)
def test_they_can_be_left_out(form: str) -> None:
    """Who does not want a decoder to see pictures from strangers names the formats without it."""
    with pytest.raises(UnsupportedFormat, match=f"{form} pictures are not accepted here: send PNG and JPEG"):
        decode(WRITERS[form](COLOURED), MAX_PIXELS, formats=("PNG", "JPEG"))


# --- Size


@pytest.mark.parametrize("form", WRITERS)
def test_they_have_a_limit_of_their_own(form: str) -> None:
    """It is found in the header, before decoding; the one for all holds where it is smaller."""
    data = WRITERS[form](COLOURED)
    assert HEIF_MAX_PIXELS < 5000 * 4000 < MAX_PIXELS
    with pytest.raises(PictureTooLarge, match=r"5000 x 4000 pixels, 20\.0 megapixels to decode, more than the 16 that"):
        decode(with_size(data, 5000, 4000), MAX_PIXELS)
    with pytest.raises(PictureTooLarge, match=r"more than the 0\.009599 that"):
        decode(data, 120 * 80 - 1)
    with pytest.raises(PictureTooLarge, match="too long and thin"):
        decode(with_size(data, 9000, 10), MAX_PIXELS)


def test_frames_may_not_be_larger_than_they_say() -> None:
    """A picture that claims to be small and has large frames would take the memory of these."""
    with pytest.raises(PictureTooLarge, match=r"12 x 8 pixels, 0\.0 megapixels to decode, more than the 0\.005 that"):
        decode(with_size(avif(COLOURED), 12, 8), 5000)
    with pytest.raises(UnreadablePicture):
        decode(with_size(heic(COLOURED), 12, 8), 5000)


def test_they_take_more_of_the_budget() -> None:
    """Pixels that take eight times as long count eight times; and what exceeds all there is takes all of it."""
    picture = heic(draw(size=(400, 400)))
    budget, done = Budget(1_000_000), threading.Event()

    def read() -> None:
        decode(picture, MAX_PIXELS, budget)
        done.set()

    with budget.taking(1):
        thread = threading.Thread(target=read)
        thread.start()
        waited = not done.wait(0.2)
    thread.join(30)

    assert waited
    assert done.is_set()


# --- Thumbnails


def test_a_thumbnail_is_read_where_it_shows_enough() -> None:
    """So it is although the pixels of the picture itself are damaged; the size is the picture's."""
    image = draw(size=(800, 600)).convert("RGB")
    data = bytearray(heic(image, thumbnail=320))
    start = data.index(b"mdat") + 4
    data[start + 100 : start + 600] = bytes(500)
    picture = decode(bytes(data), MAX_PIXELS)

    assert (800, 600) == (picture.width, picture.height)
    assert 3 > difference(picture, image.resize((288, 216), Image.Resampling.BOX))
    assert 20 < difference(decode(bytes(data), MAX_PIXELS, side=400), image.reduce(2))


def test_a_thumbnail_saves_a_picture_from_the_limit() -> None:
    """Only what is decoded has to be small; but no picture may have more pixels than are allowed for all."""
    data = with_size(heic(draw(size=(800, 600)).convert("RGB"), thumbnail=320), 6000, 4500)

    assert (6000, 4500) == (decode(data, MAX_PIXELS).width, decode(data, MAX_PIXELS).height)
    with pytest.raises(PictureTooLarge, match=r"27\.0 megapixels to decode, more than the 20 that"):
        decode(data, 20_000_000)


@pytest.mark.parametrize(
    ("size", "side"), [((800, 600), 321), ((800, 500), 320), ((600, 800), 320)], ids=["smaller", "cut", "turned"]
)
def test_thumbnails_that_show_less_are_passed_over(size: tuple[int, int], side: int) -> None:
    """Those with too few pixels, and those of another shape than the picture."""
    data = with_size(heic(draw(size=(800, 600)).convert("RGB"), thumbnail=320), *size)

    assert heif.with_thumbnail_first(with_size(data, 800, 600), 320)
    assert heif.with_thumbnail_first(data, side) is None


# --- Files that mean no good


def box(kind: bytes, content: bytes = b"", version: int | None = None) -> bytes:
    """Return a box; one with a version has flags, too."""
    head = b"" if version is None else struct.pack(">I", version << 24)
    return struct.pack(">I", 8 + len(head) + len(content)) + kind + head + content


def meta(*boxes: bytes) -> bytes:
    """Return the box that tells about the items of a file."""
    return box(b"meta", b"".join(boxes), 0)


def references(*found: tuple[bytes, int, list[int]], version: int = 0) -> bytes:
    """Return the box of references: kind, item, and those that it refers to."""
    number = ">I" if version else ">H"
    boxes = [
        box(kind, struct.pack(number, item) + struct.pack(">H", len(to)) + b"".join(struct.pack(number, i) for i in to))
        for kind, item, to in found
    ]
    return box(b"iref", b"".join(boxes), version)


def kinds(*found: tuple[int, bytes], version: int = 2) -> bytes:
    """Return the box of the kinds of items."""
    entries = [
        box(b"infe", struct.pack(">H" if version == 2 else ">I", item) + b"\0\0" + kind + b"\0", version)
        for item, kind in found
    ]
    return box(b"iinf", struct.pack(">H" if version == 2 else ">I", len(found)) + b"".join(entries), version - 2)


def properties(sizes: dict[int, tuple[int, int]], version: int = 0, flags: int = 0) -> bytes:
    """Return the box of properties: the size of each item, and something else."""
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

    assert expected == heif.with_thumbnail_first(data, 400)


def test_nothing_is_known_of_properties_that_are_not_there() -> None:
    """A thumbnail, or a picture, without a size is passed over."""
    primary = box(b"pitm", struct.pack(">H", 1), 0)
    for sizes in ({2: (400, 300)}, {1: (400, 300)}):
        data = meta(primary, properties(sizes), references((b"thmb", 2, [1])))
        assert heif.with_thumbnail_first(data, 100) is None
    empty = box(b"iprp", box(b"ipco") + box(b"ipma", struct.pack(">IIHBBHBB", 0, 2, 1, 1, 9, 2, 1, 0)))
    nameless = box(b"iprp", box(b"ipco", box(b"pixi")) + box(b"ipma", struct.pack(">IIHBBHBB", 0, 2, 1, 1, 1, 2, 1, 1)))
    for one in (empty, nameless):
        assert heif.with_thumbnail_first(meta(primary, one, references((b"thmb", 2, [1]))), 100) is None
    assert heif.with_thumbnail_first(meta(), 100) is None
    assert heif.with_thumbnail_first(b"", 100) is None


def test_metadata_are_not_looked_at() -> None:
    """References to them are gone, so that they are not copied for each of many pictures."""
    data = meta(references((b"cdsc", 4, [1]), (b"thmb", 2, [1]), (b"cdsc", 5, [1])))

    assert meta(references((b"none", 4, [1]), (b"thmb", 2, [1]), (b"none", 5, [1]))) == heif.simplified(data, "HEIC")


def test_overlays_are_refused() -> None:
    """Their canvas may be larger than the picture claims to be; nobody makes them."""
    for version in (2, 3):
        with pytest.raises(FormatError, match="overlay"):
            heif.simplified(meta(kinds((1, b"hvc1"), (2, b"iovl"), version=version)), "HEIC")
        assert heif.simplified(meta(kinds((1, b"hvc1"), version=version)), "HEIC")


def test_the_tiles_of_a_picture_count() -> None:
    """Those of the picture and of its alpha channel, as often as they are there; none may itself have tiles."""
    sizes = properties({1: (800, 600), 2: (512, 512), 3: (100, 100)})
    primary = box(b"pitm", struct.pack(">H", 1), 0)
    found = (b"dimg", 1, [2, 2, 2]), (b"auxl", 5, [1]), (b"dimg", 5, [3]), (b"dimg", 6, [2])

    assert 3 * 512 * 512 + 100 * 100 == heif.tile_pixels(meta(primary, sizes, references(*found)))
    with pytest.raises(FormatError, match="tiles of tiles"):
        heif.tile_pixels(meta(primary, sizes, references(*found, (b"dimg", 2, [3]))))


def test_a_part_that_is_there_twice_is_refused() -> None:
    """Readers differ in which one they take."""
    one = box(b"pitm", struct.pack(">H", 1), 0)
    for data in (meta(one, one), meta(one) + meta(one)):
        with pytest.raises(FormatError, match="two boxes pitm"):
            heif.simplified(data, "HEIC")


@pytest.mark.parametrize(
    "data",
    [
        2001 * box(b"free"),
        meta(references(*[(b"thmb", 2, [1])] * 2001)),
        meta(references((b"dimg", 2, list(range(2001))))),
    ],
    ids=["boxes", "references", "tiles"],
)
def test_files_of_many_parts_are_not_gone_through(data: bytes) -> None:
    """Going through millions would take seconds."""
    with pytest.raises(FormatError, match="too many parts"):
        heif.simplified(data, "HEIC")


def test_sizes_of_boxes_are_understood() -> None:
    """They may be 8 bytes long, and the last box may go on to the end."""
    content = meta(box(b"pitm", struct.pack(">H", 1), 0))[8:]
    long = struct.pack(">I4sQ", 1, b"meta", 16 + len(content)) + content
    last = struct.pack(">I4s", 0, b"meta") + content

    for data in (long, last):
        assert data == heif.simplified(data, "HEIC")
    with pytest.raises(FormatError, match="ends early"):
        heif.with_thumbnail_first(long[:-1], 100)
    assert long + b"more" == heif.simplified(long + b"more", "HEIC")


# --- Frames of AV1


def header(
    width: int, height: int, bits: tuple[int, int] | None = None, points: str = "", *, timing: str = "0"
) -> bytes:
    """Return a sequence header, the short form where no operating points are given."""
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
    """Return an AVIF file with one item: in two pieces, and in the box `idat` for later versions of its table."""
    half = len(stream) // 2
    pieces = [(0, half), (half, len(stream) - half)]

    def table(base: int) -> bytes:
        number = ">I" if version == 2 else ">H"
        construction = struct.pack(">H", 1) if version else b""
        extents = b"".join(bytes(bool(version)) + struct.pack(">HH", start, length) for start, length in pieces)
        entry = struct.pack(number, 7) + construction + struct.pack(">HI", 0, base) + struct.pack(">H", 2) + extents
        return box(b"iloc", struct.pack(">H", 0x2240 | bool(version)) + struct.pack(number, 1) + entry, version)

    items = kinds((7, kind))
    if version:
        return meta(items, table(0), box(b"idat", stream))
    return meta(items, table(len(meta(items, table(0))) + 8)) + box(b"mdat", stream)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_frames_are_found_in_the_file(version: int) -> None:
    """Wherever an item's bytes are, and whatever else is between its frames."""
    stream = unit(2) + unit(1, header(640, 480)) + unit(6, b"frame", extension=True) + unit(4, b"tiles")
    stream += unit(1, header(1280, 720)) + unit(3, b"frame") + unit(6, b"to the end", has_size=False)

    assert [640 * 480, 1280 * 720, 1280 * 720] == heif.frame_sizes(file_with(stream, version=version))
    assert [] == heif.frame_sizes(file_with(stream, b"Exif", version=version))


@pytest.mark.parametrize(("numbers", "expected"), [(">HH", 800 * 600), (">II", 70_000 * 600)])
def test_a_grid_counts_as_it_is_put_together(numbers: str, expected: int) -> None:
    """Its width and height stand behind its rows and columns."""
    grid = b"\0\0\1\1" + struct.pack(numbers, 800 if numbers == ">HH" else 70_000, 600)

    assert [expected] == heif.frame_sizes(file_with(grid, b"grid"))


# Whether delays follow, how many more points, and of each: what it is, its level, the tier of a high one, its delay.
ONE_POINT = "0" + "00000" + 12 * "0" + "00100"
TWO_POINTS = "1" + "00001" + 12 * "0" + "01000" + "1" + "1" + "0101" + 12 * "0" + "00111" + "0"


@pytest.mark.parametrize("points", [ONE_POINT, TWO_POINTS], ids=["one", "two"])
def test_long_sequence_headers_are_read(points: str) -> None:
    """Those of films say more. Where frames may say their own size, the bits that they have for it count."""
    stream = unit(1, header(640, 480, points=points)) + unit(6)
    roomy = unit(1, header(10, 10, (12, 11), points=points)) + unit(6)

    assert [640 * 480] == heif.frame_sizes(file_with(stream))
    assert [2048 * 1024] == heif.frame_sizes(file_with(roomy))


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (unit(1, header(640, 480)[:-2]) + unit(6), "a sequence header ends early"),
        (unit(1, header(640, 480, points=ONE_POINT, timing="1")), "timing of a film"),
        (unit(1, header(640, 480))[:-2], "a part of it ends early"),
        (b"\x0a" + 8 * b"\xff" + b"\0", "a part of it ends early"),
        (2001 * unit(2), "too many parts"),
    ],
    ids=["header", "timing", "unit", "long number", "units"],
)
def test_damaged_streams_are_refused(stream: bytes, said: str) -> None:
    """What cannot be read to its end might be larger than it seems."""
    with pytest.raises(FormatError, match=said):
        heif.frame_sizes(file_with(stream))


def test_items_that_share_their_bytes_are_refused() -> None:
    """A thousand of them would take a thousand times as long."""
    entry = struct.pack(">HHI", 7, 0, 0) + struct.pack(">H", 1) + struct.pack(">HH", 0, 0)
    table = box(b"iloc", struct.pack(">HH", 0x2240, 2) + 2 * entry, 0)

    with pytest.raises(FormatError, match="overlap"):
        heif.frame_sizes(meta(table))


def test_real_frames_are_as_large_as_their_pictures() -> None:
    """What libaom writes says the size of its picture, with alpha twice; of a film that of its first picture."""
    alpha = COLOURED.convert("RGBA")
    alpha.putalpha(100)

    assert [120 * 80] == heif.frame_sizes(avif(COLOURED))
    assert [120 * 80, 120 * 80] == heif.frame_sizes(avif(alpha))
    assert {120 * 80} == {*heif.frame_sizes(avif(COLOURED, save_all=True, append_images=[COLOURED.rotate(90)]))}
