"""The boxes of a HEIC or AVIF file: its thumbnail, and the number of pixels that decoding takes.

Enters: a whole file. Leaves: the same file without metadata or with its thumbnail as primary item, and the number of
pixels of its tiles and AV1 frames. The decoders do not offer that. The formats are those of ISO/IEC 14496-12 and
23008-12 and of the AV1 bitstream specification. Out of scope: decoding (`decoding`, by libheif and libavif).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import MappingProxyType

# The most boxes, items or references of a file. The picture of a phone, a grid of tiles, has about 60 items.
_MAX_PARTS = 2000
_BOX_HEADER_BYTES = 8
# Properties that rotate, mirror or crop an item.
_TRANSFORMS = {b"irot", b"imir", b"clap"}
# The boxes that are read here, with the content of an empty one: version and flags, and numbers that are 0.
_META = MappingProxyType(
    {b"pitm": bytes(8), b"iinf": bytes(6), b"iref": bytes(4), b"iprp": b"", b"iloc": bytes(8), b"idat": b""}
)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
# The most bytes that are read of the first box, which lists brands.
_MAX_BRAND_BYTES = 256
# A kind of reference that decoders ignore.
_NO_REFERENCE = b"none"
# The largest relative difference between the aspect ratios of a picture and its thumbnail, which have whole pixels.
_ASPECT_TOLERANCE = 0.02
# Types of AV1's open bitstream units (OBU): the sequence header, with the frame size, and the units that begin a frame.
_SEQUENCE_HEADER, _FRAMES = 1, {3, 6}


class FormatError(ValueError):
    """The file is truncated, has too many parts, or is of a kind that is not supported."""


class _Reader:
    """A cursor over a part of a file. Raises FormatError where it is read beyond its end."""

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self._data = data
        self.at = at
        self._end = len(data) if end is None else end

    def __bool__(self) -> bool:
        return self.at < self._end

    def part(self, n_bytes: int | None = None) -> _Reader:
        """Return a reader of the next bytes, or of all that are left, and advance behind them."""
        start = self.at
        self.at = self._end if n_bytes is None else start + n_bytes
        if self.at > self._end:
            message = "a part of it ends early"
            raise FormatError(message)
        return _Reader(self._data, start, self.at)

    def take(self, n_bytes: int | None = None) -> bytes:
        """Return the next bytes, or all that are left."""
        part = self.part(n_bytes)
        return self._data[part.at : self.at]

    def number(self, n_bytes: int) -> int:
        """Return the next big-endian number."""
        return int.from_bytes(self.take(n_bytes))

    def leb128(self) -> int:
        """Return the next number of variable length in LEB128, as in AV1."""
        found = 0
        for i in range(8):
            byte = self.number(1)
            found |= (byte & 0x7F) << 7 * i
            if byte < 0x80:
                break
        return found

    def repetitions(self, n_bytes: int) -> range:
        """Return a range of as many repetitions as the next number."""
        return range(_checked_count(self.number(n_bytes)))

    def boxes(self) -> Iterator[tuple[bytes, _Reader]]:
        """Yield the kind and content of each box that is left; the content of a truncated box up to the end.

        Truncated boxes are accepted because some phones write other data behind the last box.
        """
        n_boxes = 0
        while self._end - self.at >= _BOX_HEADER_BYTES:
            n_boxes = _checked_count(n_boxes + 1)
            start, size, kind = self.at, self.number(4), self.take(4)
            if size == 1:
                size = self.number(8)
            end = start + size if size else self._end
            yield kind, self.part(max(0, min(end, self._end) - self.at))


def _checked_count(n: int) -> int:
    if n > _MAX_PARTS:
        message = "it has too many parts"
        raise FormatError(message)
    return n


def _meta(data: bytes) -> dict[bytes, _Reader]:
    """Return the boxes of the meta box by kind.

    Raises FormatError for two boxes of one kind, since decoders differ in which of them they read.
    """
    found: dict[bytes, _Reader] = {}
    for kind, content in _Reader(data).boxes():
        if kind == b"meta":
            content.take(4)
            for name, box in content.boxes():
                if name in _META and found.setdefault(name, box) is not box:
                    message = f"it has two boxes {name.decode()}"
                    raise FormatError(message)
    return {name: _Reader(empty) for name, empty in _META.items()} | found


def format_of(data: bytes) -> str | None:
    """Return "HEIC" or "AVIF" by the major and the compatible brands of a file, None for other brands."""
    brands = {data[i : i + 4] for i in (8, *range(16, min(int.from_bytes(data[:4]), _MAX_BRAND_BYTES), 4))}
    return "AVIF" if brands & _AVIF_BRANDS else "HEIC" if brands & _HEIC_BRANDS else None


def without_metadata(data: bytes, form: str) -> bytes:
    """Return a HEIC file without references to metadata, or an AVIF file that is decoded as a still picture.

    libheif copies metadata for every item that refers to it, which many items of one file may do. Raises FormatError.
    """
    meta = _meta(data)
    if form == "AVIF":
        # With this major brand libavif reads the primary item, with others the animation.
        return data[:8] + b"avif" + data[12:]
    if b"iovl" in _item_types(meta).values():
        message = "it is an overlay of pictures"
        raise FormatError(message)
    changed = bytearray(data)
    for kind, at, _, _ in _references(meta):
        if kind == b"cdsc":
            changed[at : at + 4] = _NO_REFERENCE
    return bytes(changed)


def with_thumbnail_as_primary(data: bytes, side: int) -> bytes | None:
    """Return a HEIC file whose primary item is its thumbnail, None where no thumbnail matches the picture.

    A thumbnail matches that has at least `side` pixels on its longer side, and the aspect ratio, rotation and cropping
    of the picture. Raises FormatError.
    """
    meta = _meta(data)
    properties = _properties(meta[b"iprp"])
    primary, at, n_bytes = _primary(meta)
    for kind, kind_at, item, pictures in _references(meta):
        if kind == b"thmb" and primary in pictures and _matches(properties.get(item), properties.get(primary), side):
            changed = bytearray(data)
            changed[at : at + n_bytes] = item.to_bytes(n_bytes)
            changed[kind_at : kind_at + 4] = _NO_REFERENCE  # libheif accepts no thumbnail as primary item.
            return bytes(changed)
    return None


def tile_pixels(data: bytes) -> int:
    """Return the number of pixels of the tiles of a HEIC's primary item and of its auxiliary items, as alpha.

    It may exceed the number of the picture's pixels. Raises FormatError.
    """
    meta = _meta(data)
    properties, references = _properties(meta[b"iprp"]), _references(meta)
    primary, _, _ = _primary(meta)
    shown = {primary, *(item for kind, _, item, pictures in references if kind == b"auxl" and primary in pictures)}
    tiles = [tile for kind, _, item, tiles in references if kind == b"dimg" and item in shown for tile in tiles]
    if {item for kind, _, item, _ in references if kind == b"dimg"} & {*tiles}:
        message = "it has tiles of tiles"
        raise FormatError(message)
    return sum(math.prod(_size(properties.get(tile, []))) for tile in tiles)


def _primary(meta: dict[bytes, _Reader]) -> tuple[int, int, int]:
    """Return the primary item's number, and the offset and length of that number in the file."""
    pitm = meta[b"pitm"]
    n_bytes = 4 if pitm.number(4) >> 24 else 2
    return pitm.number(n_bytes), pitm.at - n_bytes, n_bytes


def _references(meta: dict[bytes, _Reader]) -> list[tuple[bytes, int, int, list[int]]]:
    """Return of each reference its kind, the kind's offset in the file, the item, and the items that it refers to."""
    found = []
    n_bytes = 4 if meta[b"iref"].number(4) >> 24 else 2
    for kind, box in meta[b"iref"].boxes():
        at = box.at - 4
        found.append((kind, at, box.number(n_bytes), [box.number(n_bytes) for _ in box.repetitions(2)]))
    return found


def _item_types(meta: dict[bytes, _Reader]) -> dict[int, bytes]:
    """Return the type of each item, such as `hvc1`, `grid` or `Exif`."""
    found: dict[int, bytes] = {}
    iinf = meta[b"iinf"]
    iinf.take(4 if iinf.number(4) >> 24 else 2)
    for _, entry in iinf.boxes():
        item = entry.number(2 if entry.number(4) >> 24 == 2 else 4)
        entry.take(2)
        found[item] = entry.take(4)
    return found


_Properties = list[tuple[bytes, bytes]]


def _properties(iprp: _Reader) -> dict[int, _Properties]:
    """Return the kind and content of each item's properties."""
    shared: _Properties = []
    found: dict[int, _Properties] = {}
    for kind, box in iprp.boxes():
        if kind == b"ipco":
            shared = [(name, content.take()) for name, content in box.boxes()]
        elif kind == b"ipma":
            head = box.number(4)
            for _ in box.repetitions(4):
                item = box.number(4 if head >> 24 else 2)
                indices = [box.number(2) & 0x7FFF if head & 1 else box.number(1) & 0x7F for _ in box.repetitions(1)]
                found[item] = [shared[i - 1] for i in indices if 0 < i <= len(shared)]
    return found


def _matches(thumbnail: _Properties | None, picture: _Properties | None, side: int) -> bool:
    """Return whether a thumbnail has the picture's transforms and aspect ratio, and at least `side` pixels a side."""
    if not picture or not thumbnail:
        return False
    if [one for one in picture if one[0] in _TRANSFORMS] != [one for one in thumbnail if one[0] in _TRANSFORMS]:
        return False
    (width, height), (small_width, small_height) = _size(picture), _size(thumbnail)
    difference = abs(width * small_height - height * small_width)
    return max(small_width, small_height) >= side and difference <= _ASPECT_TOLERANCE * width * small_height


def _size(properties: _Properties) -> tuple[int, int]:
    found = [content for kind, content in properties if kind == b"ispe"]
    return (int.from_bytes(found[0][4:8]), int.from_bytes(found[0][8:12])) if found else (0, 0)


def frame_pixels(data: bytes) -> list[int]:
    """Return the number of pixels of each frame and grid of an AVIF file, as its AV1 streams declare them.

    A frame may be larger than the picture that shows it, and is decoded in full. Raises FormatError.
    """
    meta = _meta(data)
    types = _item_types(meta)
    found = []
    for item, content in _items(data, meta):
        if types.get(item) == b"grid":
            n_bytes = (len(content) - 4) // 2
            found.append(int.from_bytes(content[4 : 4 + n_bytes]) * int.from_bytes(content[4 + n_bytes :]))
        elif types.get(item) == b"av01":
            found += _stream_frames(_Reader(content))
    return found


def _stream_frames(stream: _Reader) -> Iterator[int]:
    """Yield the number of pixels of each frame of an AV1 stream."""
    n_units, n_pixels = 0, 0
    while stream:
        n_units = _checked_count(n_units + 1)
        head = stream.number(1)
        stream.take(head >> 2 & 1)
        unit = stream.part(stream.leb128() if head & 2 else None)
        kind = head >> 3 & 15
        if kind == _SEQUENCE_HEADER:
            n_pixels = _frame_size(unit.take())
        elif kind in _FRAMES:
            yield n_pixels


def _items(data: bytes, meta: dict[bytes, _Reader]) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the content of each item."""
    idat, iloc = meta[b"idat"].take(), meta[b"iloc"]
    version = iloc.number(4) >> 24
    sizes = iloc.number(2)
    offset_bytes, length_bytes, base_bytes, index_bytes = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    id_bytes = 4 if version == 2 else 2
    n_bytes = 0
    for _ in iloc.repetitions(id_bytes):
        item = iloc.number(id_bytes)
        # Offsets count from the beginning of the file, or of the box `idat`.
        source = idat if version and iloc.number(2) & 15 else data
        iloc.take(2)
        base = iloc.number(base_bytes)
        content = b""
        for _ in iloc.repetitions(2):
            iloc.take(index_bytes if version else 0)
            start = base + iloc.number(offset_bytes)
            length = iloc.number(length_bytes) or max(0, len(source) - start)
            n_bytes += length
            if n_bytes > len(data):
                message = "its items overlap"
                raise FormatError(message)
            content += source[start : start + length]
        yield item, content


def _frame_size(header: bytes) -> int:
    """Return the number of pixels of the largest frame of an AV1 sequence header, section 5.5 of the specification."""
    bits = f"{int.from_bytes(header):0{8 * len(header)}b}"
    at = 0

    def take(n: int) -> int:
        nonlocal at
        at += n
        if at > len(bits):
            message = "a sequence header ends early"
            raise FormatError(message)
        return int(bits[at - n : at], 2)

    take(4)
    is_reduced = take(1)
    if is_reduced:
        take(5)
    else:
        if take(1):
            message = "it has the timing of a video"
            raise FormatError(message)
        has_delay = take(1)
        for _ in range(take(5) + 1):
            take(12)
            if take(5) > 7:
                take(1)
            if has_delay and take(1):
                take(4)
    n_bits = take(4) + 1, take(4) + 1
    sides = [take(n) + 1 for n in n_bits]
    if not is_reduced:
        # A frame may override its size, in as many bits. Encoders write the fewest bits that the largest frame needs.
        sides = [max(side, 2 ** (n - 1)) for side, n in zip(sides, n_bits, strict=True)]
    return sides[0] * sides[1]
