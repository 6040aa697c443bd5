"""The boxes of a HEIC or AVIF file: where its thumbnail is, and how large the frames in it are.

Enters: a whole file. Leaves: the same file with its thumbnail as the primary picture, and the frame sizes that its AV1
streams declare. That is what the decoders do not offer; decoding itself is theirs. The formats are those of ISO/IEC
14496-12 and 23008-12 and of the AV1 bitstream specification.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import MappingProxyType

# Boxes, items and references of one kind at most; the picture of a phone, a grid of tiles, has some 60 items.
_MOST_PARTS = 2000
_BOX_HEAD = 8
# What turns or crops the pixels of an item.
_TRANSFORMS = {b"irot", b"imir", b"clap"}
# The boxes that are used here, with the content of an empty one: version and flags, and a number or several.
_META = MappingProxyType(
    {b"pitm": bytes(8), b"iinf": bytes(6), b"iref": bytes(4), b"iprp": b"", b"iloc": bytes(8), b"idat": b""}
)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
# Bytes of the first box, which lists brands.
_MOST_BRANDS = 256
# A kind of reference that no decoder follows.
_NO_REFERENCE = b"none"
# How much the shapes of a picture and its thumbnail may differ, since both are whole pixels.
_SHAPE_TOLERANCE = 0.02
# Of AV1's open bitstream units (OBU), the one with the size of frames, and those that begin one.
_SEQUENCE_HEADER, _FRAMES = 1, {3, 6}


class FormatError(ValueError):
    """A part of the file ends early, or there are too many."""


class _Reader:
    """Reads a part of a file, from one place to another, in order. Raises FormatError where it ends early."""

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self._data = data
        self.at = at
        self._end = len(data) if end is None else end

    def __bool__(self) -> bool:
        return self.at < self._end

    def part(self, n_bytes: int | None = None) -> _Reader:
        """Return a reader of the next bytes, or of all that are left, and go on behind them."""
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
        """Return the next number, big-endian."""
        return int.from_bytes(self.take(n_bytes))

    def leb128(self) -> int:
        """Return the next number of variable length, as AV1 has it."""
        found = 0
        for i in range(8):
            byte = self.number(1)
            found |= (byte & 0x7F) << 7 * i
            if byte < 0x80:
                break
        return found

    def times(self, n_bytes: int) -> range:
        """Return a range as long as the next number says."""
        return range(_few(self.number(n_bytes)))

    def boxes(self) -> Iterator[tuple[bytes, _Reader]]:
        """Yield the kind and content of each box that is left; of one that reaches beyond, what there is.

        Some phones write more behind the last one.
        """
        n_boxes = 0
        while self._end - self.at >= _BOX_HEAD:
            n_boxes = _few(n_boxes + 1)
            start, size, kind = self.at, self.number(4), self.take(4)
            if size == 1:
                size = self.number(8)
            end = start + size if size else self._end
            yield kind, self.part(max(0, min(end, self._end) - self.at))


def _few(n: int) -> int:
    if n > _MOST_PARTS:
        message = "it has too many parts"
        raise FormatError(message)
    return n


def _meta(data: bytes) -> dict[bytes, _Reader]:
    """Return the boxes that tell about the items. Raises FormatError where one is there twice, since readers differ."""
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
    """Return "HEIC" or "AVIF" by the brands that a file claims, the first of which may be that of all such formats."""
    brands = {data[i : i + 4] for i in (8, *range(16, min(int.from_bytes(data[:4]), _MOST_BRANDS), 4))}
    return "AVIF" if brands & _AVIF_BRANDS else "HEIC" if brands & _HEIC_BRANDS else None


def simplified(data: bytes, form: str) -> bytes:
    """Return a file as far as it is one picture: without metadata, and without the film that an AVIF may also have.

    Many pictures in a HEIC may refer to the same metadata, which libheif would copy for each. Raises FormatError.
    """
    meta = _meta(data)
    if form == "AVIF":
        # By this brand libavif reads the picture, by others the film.
        return data[:8] + b"avif" + data[12:]
    if b"iovl" in _kinds(meta).values():
        message = "it is an overlay of pictures"
        raise FormatError(message)
    changed = bytearray(data)
    for kind, at, _, _ in _references(meta):
        if kind == b"cdsc":
            changed[at : at + 4] = _NO_REFERENCE
    return bytes(changed)


def with_thumbnail_first(data: bytes, side: int) -> bytes | None:
    """Return a HEIC file whose primary picture is its thumbnail, None where none is as large as `side` and alike.

    Alike is what has the same shape and is turned the same way. Raises FormatError.
    """
    meta = _meta(data)
    properties = _properties(meta[b"iprp"])
    primary, at, n_bytes = _primary(meta)
    for kind, kind_at, item, pictures in _references(meta):
        if kind == b"thmb" and primary in pictures and _alike(properties.get(primary), properties.get(item), side):
            changed = bytearray(data)
            changed[at : at + n_bytes] = item.to_bytes(n_bytes)
            changed[kind_at : kind_at + 4] = _NO_REFERENCE  # What is another's thumbnail cannot be the primary one.
            return bytes(changed)
    return None


def tile_pixels(data: bytes) -> int:
    """Return how many pixels the tiles have from which a HEIC's primary picture and its channels are put together.

    They may be more than its own. Raises FormatError.
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
    """Return the primary item, and where in the file it is named in how many bytes."""
    pitm = meta[b"pitm"]
    n_bytes = 4 if pitm.number(4) >> 24 else 2
    return pitm.number(n_bytes), pitm.at - n_bytes, n_bytes


def _references(meta: dict[bytes, _Reader]) -> list[tuple[bytes, int, int, list[int]]]:
    """Return the kind of each reference, where in the file it stands, the item, and the items that it refers to."""
    found = []
    n_bytes = 4 if meta[b"iref"].number(4) >> 24 else 2
    for kind, box in meta[b"iref"].boxes():
        at = box.at - 4
        found.append((kind, at, box.number(n_bytes), [box.number(n_bytes) for _ in box.times(2)]))
    return found


def _kinds(meta: dict[bytes, _Reader]) -> dict[int, bytes]:
    """Return the kind of each item, such as `hvc1`, `grid` or `Exif`."""
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
    """Return kind and content of the properties of each item."""
    shared: _Properties = []
    found: dict[int, _Properties] = {}
    for kind, box in iprp.boxes():
        if kind == b"ipco":
            shared = [(name, content.take()) for name, content in box.boxes()]
        elif kind == b"ipma":
            head = box.number(4)
            for _ in box.times(4):
                item = box.number(4 if head >> 24 else 2)
                indices = [box.number(2) & 0x7FFF if head & 1 else box.number(1) & 0x7F for _ in box.times(1)]
                found[item] = [shared[i - 1] for i in indices if 0 < i <= len(shared)]
    return found


def _alike(picture: _Properties | None, thumbnail: _Properties | None, side: int) -> bool:
    """Return whether a thumbnail shows all of a picture, turned the same way, with at least `side` pixels a side."""
    if not picture or not thumbnail:
        return False
    if [one for one in picture if one[0] in _TRANSFORMS] != [one for one in thumbnail if one[0] in _TRANSFORMS]:
        return False
    (width, height), (small_width, small_height) = _size(picture), _size(thumbnail)
    difference = abs(width * small_height - height * small_width)
    return max(small_width, small_height) >= side and difference <= _SHAPE_TOLERANCE * width * small_height


def _size(properties: _Properties) -> tuple[int, int]:
    found = [content for kind, content in properties if kind == b"ispe"]
    return (int.from_bytes(found[0][4:8]), int.from_bytes(found[0][8:12])) if found else (0, 0)


def frame_sizes(data: bytes) -> list[int]:
    """Return the numbers of pixels of all frames and grids of an AVIF file, by what its AV1 streams declare.

    A frame may be larger than the picture that it is shown as, and is decoded in full. Raises FormatError.
    """
    meta = _meta(data)
    kinds = _kinds(meta)
    found = []
    for item, content in _items(data, meta):
        if kinds.get(item) == b"grid":
            n_bytes = (len(content) - 4) // 2
            found.append(int.from_bytes(content[4 : 4 + n_bytes]) * int.from_bytes(content[4 + n_bytes :]))
        elif kinds.get(item) == b"av01":
            found += _stream_frames(_Reader(content))
    return found


def _stream_frames(stream: _Reader) -> Iterator[int]:
    n_units, n_pixels = 0, 0
    while stream:
        n_units = _few(n_units + 1)
        head = stream.number(1)
        stream.take(head >> 2 & 1)
        unit = stream.part(stream.leb128() if head & 2 else None)
        kind = head >> 3 & 15
        if kind == _SEQUENCE_HEADER:
            n_pixels = _frame_size(unit.take())
        elif kind in _FRAMES:
            yield n_pixels


def _items(data: bytes, meta: dict[bytes, _Reader]) -> Iterator[tuple[int, bytes]]:
    """Yield each item and its content."""
    idat, iloc = meta[b"idat"].take(), meta[b"iloc"]
    version = iloc.number(4) >> 24
    sizes = iloc.number(2)
    offset_bytes, length_bytes, base_bytes, index_bytes = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    id_bytes = 4 if version == 2 else 2
    n_bytes = 0
    for _ in iloc.times(id_bytes):
        item = iloc.number(id_bytes)
        # Places are counted from the beginning of the file, or of the box `idat`.
        source = idat if version and iloc.number(2) & 15 else data
        iloc.take(2)
        base = iloc.number(base_bytes)
        content = b""
        for _ in iloc.times(2):
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
    """Return the pixels of the largest frame by a sequence header of AV1, section 5.5 of its specification."""
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
            message = "it has the timing of a film"
            raise FormatError(message)
        has_delay = take(1)
        for _ in range(take(5) + 1):
            take(12)
            if take(5) > 7:
                take(1)
            if has_delay and take(1):
                take(4)
    bits_of = take(4) + 1, take(4) + 1
    sides = [take(n) + 1 for n in bits_of]
    if not is_reduced:
        # Each frame may say its own size, in as many bits: encoders write the fewest that are needed.
        sides = [max(side, 2 ** (n - 1)) for side, n in zip(sides, bits_of, strict=True)]
    return sides[0] * sides[1]
