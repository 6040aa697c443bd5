"""Tests of service.png."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from service.decoding import decode
from service.errors import UnreadablePicture
from service.png import SIGNATURE, chunks, is_tiny, read_tiny
from tests.pictures import Colour, chunk, draw, encode, unfolding

TINY = encode(draw(size=(28, 28)))
# An ancillary chunk of text, which makes a file Pillow's to read.
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
def test_tiny_pictures_are_read_as_pillow_reads_them(mode: str, width: int, height: int, noise: int, seed: int) -> None:
    """Pixel for pixel, whichever filters their rows were written with."""
    slope = np.add.outer(np.arange(height), np.arange(width))[:, :, None] * np.ones(len(mode), int)
    pixels = slope + np.random.default_rng(seed).integers(0, noise + 1, slope.shape)
    written = Image.fromarray(pixels.astype(np.uint8)[:, :, 0] if mode == "L" else pixels.astype(np.uint8))
    data = encode(written)
    read = read_tiny(data)

    assert read is not None
    assert mode == read.mode
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), np.asarray(read))


@pytest.mark.parametrize(
    ("mode", "ink", "paper"),
    [("L", 0, 255), ("RGB", (180, 20, 40), (250, 250, 240)), ("RGBA", (0, 0, 0, 255), (0, 0, 0, 0))],
)
def test_both_ways_to_decode_give_the_same(mode: str, ink: Colour, paper: Colour) -> None:
    """A file that is Pillow's to read, for a chunk that changes nothing, has the same brightness."""
    data = encode(draw(size=(40, 30), mode=mode, ink=ink, paper=paper))
    plain, other = decode(data, 10_000), decode(with_chunk(data, TEXT), 10_000)

    assert read_tiny(with_chunk(data, TEXT)) is None
    assert np.array_equal(other.grey, plain.grey)
    assert (other.format, other.width, other.height) == (plain.format, plain.width, plain.height)


def interlaced(data: bytes) -> bytes:
    """Return a PNG whose header says that it is interlaced."""
    return SIGNATURE + chunk(b"IHDR", data[16:28] + b"\1") + data[33:]


def interrupted(data: bytes) -> bytes:
    """Return a PNG with the time between two halves of its pixels."""
    ((_, pixels),) = [found for found in chunks(data, 10) if found[0] == b"IDAT"]
    halves = [chunk(b"IDAT", half) for half in (bytes(pixels[:20]), bytes(pixels[20:]))]
    return data[:33] + halves[0] + chunk(b"tIME", bytes(7)) + halves[1] + chunk(b"IEND")


def oriented() -> PngImagePlugin.PngInfo:
    """Return what makes Pillow write an orientation as XMP."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    return info


@pytest.mark.parametrize(
    "data",
    [
        encode(draw(size=(28, 28)).convert("P")),
        encode(draw(size=(28, 28)).convert("1")),
        encode(np.full((28, 28), 40_000, np.uint16)),
        encode(draw(size=(28, 28)).convert("LA")),
        encode(draw(size=(28, 28), mode="RGB", ink=(0, 0, 0), paper=(9, 9, 9)), transparency=(9, 9, 9)),
        encode(draw(size=(28, 28)), exif=b"Exif\0\0II*\0\b\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"),
        encode(draw(size=(28, 28)), pnginfo=oriented()),
        encode(draw(size=(28, 28)), save_all=True, append_images=[draw(3, size=(28, 28))]),
        interlaced(TINY),
        SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 28, 8, 0, 0, 0, 0)) + TINY[33:],
        SIGNATURE + chunk(b"IHDR", TINY[16:28]) + TINY[33:],
        TINY[:33] + chunk(b"IDAT", b"no pixels") + chunk(b"IEND"),
        interrupted(TINY),
        with_chunk(TINY, chunk(b"gAMA", b"1")),
        TINY[:33] + chunk(b"IEND"),
        encode(draw(size=(60, 60))),
        encode(draw(size=(28, 28)), "BMP"),
        b"",
    ],
    ids=[
        "palette",
        "1 bit",
        "16 bits",
        "grey with alpha",
        "transparent colour",
        "EXIF",
        "XMP",
        "animated",
        "interlaced",
        "no width",
        "short header",
        "damaged pixels",
        "interrupted pixels",
        "damaged chunk",
        "no pixels",
        "larger",
        "BMP",
        "nothing",
    ],
)
def test_all_else_is_pillows_to_read(data: bytes) -> None:
    """It knows more of PNG, and says what is wrong with a file."""
    assert read_tiny(data) is None


def test_what_changes_no_pixel_is_passed_over() -> None:
    """Such as the gamma and the time that programs for drawing write."""
    read = read_tiny(with_chunk(TINY, chunk(b"gAMA", bytes(4)) + chunk(b"tIME", bytes(7))))

    assert read is not None
    assert read_tiny(TINY) == read


@given(st.integers(0, len(TINY) - 1), st.integers(0, 7))
def test_no_flipped_bit_goes_unnoticed(place: int, bit: int) -> None:
    """Each is under the signature or a checksum."""
    damaged = bytearray(TINY)
    damaged[place] ^= 1 << bit

    assert read_tiny(bytes(damaged)) is None


@given(st.integers(0, len(TINY) - 1))
def test_nor_does_a_missing_end(length: int) -> None:
    """What is cut off is not whole."""
    assert read_tiny(TINY[:length]) is None


@pytest.mark.parametrize(
    "damaged", [TINY[:-12], TINY[:-1], TINY[:50] + b"\0" + TINY[51:]], ids=["end", "cut", "flipped"]
)
def test_damage_is_told(damaged: bytes) -> None:
    """A chunk that is missing or does not fit its checksum is an error, also where Pillow would make some picture."""
    with pytest.raises(OSError, match="checksum"):
        list(chunks(damaged, 100))
    with pytest.raises(UnreadablePicture):
        decode(damaged, 10_000)


def test_chunks_are_counted() -> None:
    """A file of very many is not gone through."""
    with pytest.raises(OSError, match="too many parts"):
        list(chunks(with_chunk(TINY, 10 * TEXT), 10))


def test_tiny_pictures_are_known_by_their_header() -> None:
    """MNIST's form as PNG is tiny; a larger picture, another format and a padded file are not."""
    tiny = encode(draw(size=(28, 28)))

    assert is_tiny(tiny)
    assert not is_tiny(encode(draw(size=(57, 56))))
    assert not is_tiny(encode(draw(size=(28, 28)), "BMP"))
    assert not is_tiny(tiny + bytes(16 * 1024))
    assert not is_tiny(b"")


@pytest.mark.parametrize(
    "chunks",
    [
        [unfolding(b"zTXt", 100_000)],
        [unfolding(b"iTXt", 100_000)],
        [unfolding(b"iCCP", 100_000)],
        [chunk(b"IHDR", struct.pack(">IIBBBBB", 3000, 3000, 1, 0, 0, 0, 0))],
    ],
    ids=["text", "international text", "profile", "second header"],
)
def test_what_may_unfold_is_not_tiny(chunks: list[bytes]) -> None:
    """A small header does not speak for a file with compressed text, or with another header behind it."""
    head, rest = encode(draw(size=(28, 28)))[:33], encode(draw(size=(28, 28)))[33:]

    assert is_tiny(head + rest)
    assert not is_tiny(head + b"".join(chunks) + rest)
    assert not is_tiny(head[:8] + chunk(b"tEXt", head[16:24]) + head[8:] + rest)


def test_a_bomb_is_not_tiny() -> None:
    """A file of few bytes may have many pixels."""
    assert not is_tiny(encode(np.zeros((3000, 3000), np.uint8))[:16_000])
