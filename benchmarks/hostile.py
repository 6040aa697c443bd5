"""Malformed and malicious requests of many kinds, for fuzzing: a seeded generator in, a request out.

Out of scope: sending them, which `benchmarks.fuzz`, `benchmarks.soak` and the tests do.
"""

from __future__ import annotations

import base64
import io
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image, ImageDraw

_BOUNDARY = "boundary"
_FORM = f"multipart/form-data; boundary={_BOUNDARY}"
_JSON = "application/json"
_INFER = "/v2/models/{model}/infer"
# Boundary values for sizes, counts and offsets.
_NUMBERS = (0, 1, 2, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
_MAGIC = (
    b"\x89PNG\r\n\x1a\n",
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    b"\xff\xd8\xff",
    b"\xff\xd8\xff\xe1\x20\x00Exif\0\0II*\0\x08\0\0\0",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"RIFF\xff\0\0\0WEBPVP8 ",
    b"RIFF\xff\0\0\0WEBPVP8L",
    b"RIFF\xff\0\0\0WEBPVP8X",
    b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08",
    b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic\0\0\xff\xffmeta\0\0\0\0",
    b"\0\0\0\x18ftypavif\0\0\0\0mif1avif\0\0\xff\xffmeta\0\0\0\0",
    b"%!PS-Adobe-3.0 EPSF-3.0\n",
    b"<svg ",
)


@dataclass(frozen=True)
class Case:
    """One request. `{model}` in its path is a placeholder for the name of the model."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def _pictures() -> dict[str, bytes]:
    """Return a digit in every format, and in the variants of each that have a decoder of their own."""
    drawn = Image.new("RGB", (40, 30), (250, 250, 240))
    ImageDraw.Draw(drawn).line([(12, 5), (28, 4), (18, 26)], fill=(180, 20, 40), width=3)
    turned = Image.Exif()
    turned[274] = 6
    wide = Image.fromarray(np.linspace(0, 65535, 1200).astype(np.uint16).reshape(30, 40))
    real = Image.fromarray(np.linspace(-1, 1, 1200).astype(np.float32).reshape(30, 40))
    pages: dict[str, Any] = {"save_all": True, "append_images": [drawn.rotate(90)]}
    found: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "PNG": (drawn, "PNG", {"exif": turned}),
        "PNG palette": (drawn.convert("P"), "PNG", {"transparency": 1}),
        "PNG 16 bit": (wide, "PNG", {}),
        "PNG bits": (drawn.convert("1"), "PNG", {}),
        "APNG": (drawn, "PNG", pages),
        "JPEG": (drawn, "JPEG", {"exif": turned}),
        "JPEG progressive": (drawn, "JPEG", {"progressive": True}),
        "JPEG CMYK": (drawn.convert("CMYK"), "JPEG", {}),
        "MPO": (drawn, "MPO", pages),
        "WebP": (drawn, "WEBP", {"exif": turned}),
        "WebP lossless": (drawn.convert("RGBA"), "WEBP", {"lossless": True}),
        "WebP animated": (drawn, "WEBP", pages),
        "HEIC": (drawn, "HEIC", {"exif": turned.tobytes()}),
        "HEIC grey": (drawn.convert("L"), "HEIC", {}),
        "HEIC alpha": (drawn.convert("RGBA"), "HEIC", {}),
        "HEIC thumbnail": (drawn.resize((400, 300)), "HEIC", {"thumbnail": 320}),
        "HEIC tiles": (drawn.resize((400, 300)), "HEIC", {"tile_size": 128}),
        "AVIF": (drawn, "AVIF", {"exif": turned}),
        "AVIF alpha": (drawn.convert("RGBA"), "AVIF", {}),
        "AVIF animated": (drawn, "AVIF", pages),
        "GIF": (drawn, "GIF", {}),
        "GIF animated": (drawn, "GIF", pages),
        "BMP": (drawn, "BMP", {}),
        "BMP palette": (drawn.convert("P"), "BMP", {}),
        "TIFF": (drawn, "TIFF", {"exif": turned}),
        "TIFF float": (real, "TIFF", {}),
        "TIFF LZW": (drawn, "TIFF", {"compression": "tiff_lzw"}),
        "TIFF deflate": (drawn, "TIFF", {"compression": "tiff_adobe_deflate"}),
        "TIFF JPEG": (drawn, "TIFF", {"compression": "jpeg"}),
        "TIFF fax": (drawn.convert("1"), "TIFF", {"compression": "group4"}),
        "BigTIFF": (drawn, "TIFF", {"big_tiff": True}),
    }
    return {name: _encoded(image, form, **options) for name, (image, form, options) in found.items()}


def _encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    if form == "HEIC":
        heic = pillow_heif.from_bytes(image.mode, image.size, image.tobytes())
        heic[0].info["thumbnails"] = [options.pop("thumbnail", 0)]
        heic.save(file, **options)
    else:
        image.save(file, form, **options)
    return file.getvalue()


PICTURES: Mapping[str, bytes] = MappingProxyType(_pictures())


def damaged(rng: Random, data: bytes) -> bytes:
    """Return a file with bits flipped and bytes deleted, repeated, moved or overwritten, mostly near its beginning."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 5, 10))):
        at = rng.randrange(min(len(found), rng.choice((32, 128, 10**9))) + 1)
        length = rng.choice((1, 2, 4, 8, 64, 500))
        kind = rng.randrange(7)
        if kind == 0:
            found[at : at + 1] = bytes(byte ^ (1 << rng.randrange(8)) for byte in found[at : at + 1])
        elif kind == 1:
            del found[at : at + length]
        elif kind == 2:
            found[at:at] = found[at : at + length] * rng.choice((1, 2, 50))
        elif kind == 3:
            other = rng.choice(tuple(PICTURES.values()))
            start = rng.randrange(len(other))
            found[at : at + rng.choice((0, length))] = other[start : start + length]
        elif kind == 4:
            number = struct.pack(rng.choice("<>") + rng.choice("HIQ"), rng.choice(_NUMBERS) % 65536)
            found[at : at + len(number)] = number
        elif kind == 5:
            number = struct.pack(rng.choice("<>") + "I", rng.choice(_NUMBERS))
            found[at : at + 4] = number
        else:
            found[at : at + length] = rng.randbytes(length)
    return bytes(found)


def _posted(rng: Random, picture: bytes) -> Case:
    """Return a request with a picture, in one of the accepted kinds of bodies."""
    path = rng.choice(("/predict", "/predict", "/read"))
    query = rng.choice(("", "", "", "?explain=true", "?top_k=3", "?length=3"))
    form = rng.randrange(5)
    if form == 0:
        return Case("POST", path + query, (("content-type", _FORM),), _form(picture))
    if form == 1:
        return Case("POST", f"{path}/batch", (("content-type", _FORM),), _form(picture, PICTURES["PNG"]))
    if form == 2:
        text = json.dumps({"image": base64.b64encode(picture).decode()}).encode()
        return Case("POST", path + query, (("content-type", _JSON),), text)
    return Case("POST", path + query, (("content-type", "application/octet-stream"),), picture)


def _form(*pictures: bytes) -> bytes:
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="7.png"\r\n\r\n'.encode()
    return b"".join(head + picture + b"\r\n" for picture in pictures) + f"--{_BOUNDARY}--\r\n".encode()


def _mutated(name: str) -> Callable[[Random], Case]:
    return lambda rng: _posted(rng, damaged(rng, PICTURES[name]))


def _random(rng: Random) -> Case:
    return _posted(rng, rng.choice(_MAGIC) + rng.randbytes(rng.choice((0, 1, 10, 100, 1000, 20_000))))


def _exif(rng: Random) -> Case:
    """Return a picture whose EXIF block has invalid tags or is damaged."""
    order = rng.choice("<>")
    tags = [
        struct.pack(
            f"{order}HHII",
            rng.choice((256, 274, 282, 296, 34665, 34853, 45057, rng.randrange(65536))),
            rng.randrange(20),
            rng.choice(_NUMBERS),
            rng.choice((*_NUMBERS, 6)),
        )
        for _ in range(rng.choice((0, 1, 3, 30, 1000)))
    ]
    count = struct.pack(f"{order}H", rng.choice((len(tags), rng.choice(_NUMBERS) % 65536)))
    head = {"<": b"II*\0\x08\0\0\0", ">": b"MM\0*\0\0\0\x08"}[order]
    exif = b"Exif\0\0" + head + count + b"".join(tags) + rng.choice((b"", b"\0\0\0\x08", bytes(1000)))
    if rng.random() < 0.5:
        exif = damaged(rng, exif)
    form = rng.choice(("PNG", "JPEG", "WEBP"))
    return _posted(rng, _encoded(Image.new("L", (20, 20), 99), form, exif=exif[:65_000]))


def _text(rng: Random) -> str:
    """Return a header value of printable Latin-1 characters, which HTTP servers let through."""
    return "".join(chr(rng.choice((*range(32, 127), *range(160, 256)))) for _ in range(rng.choice((0, 1, 5, 40, 3000))))


_HEADERS = (
    ("content-type", (_FORM, _JSON, "image/png", 'multipart/form-data; boundary="', "multipart/form-data; a*=b''c")),
    ("content-encoding", ("gzip", "identity", "br, gzip")),
    ("inference-header-content-length", ("0", "5", "-1", "10000000", "1e3")),
    ("accept", ("*/*", "text/html;q=2", "application/x-npz;q=nan", "application/octet-stream")),
    ("accept-encoding", ("gzip", "gzip;q=0", "*;q=inf")),
    ("if-none-match", ("*", 'W/"a", "b"')),
    ("authorization", ("Bearer x", "Basic eDp5")),
    ("x-request-id", ("mine",)),
    ("traceparent", ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-0-0-0")),
    ("tracestate", ("a=b",)),
    ("baggage", ("a=b;c",)),
    ("x-forwarded-for", ("1.2.3.4, x", "::1")),
    ("x-forwarded-proto", ("https",)),
    ("origin", ("null", "https://example.org")),
    ("range", ("bytes=0-1",)),
    ("cookie", ("a=b",)),
)
_PATHS = (
    ("POST", "/predict"),
    ("POST", "/predict/batch"),
    ("POST", "/read"),
    ("POST", "/read/batch"),
    ("POST", _INFER),
    ("GET", "/model/weights/1"),
    ("GET", "/model/weights/0/image"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("DELETE", "/predict"),
    ("GET", "/../../etc/passwd"),
)


def _headers(rng: Random) -> Case:
    method, path = rng.choice(_PATHS)
    headers = []
    for name, known in rng.sample(_HEADERS, rng.choice((1, 2, 5))):
        value = rng.choice(known)
        if rng.random() < 0.6:
            at = rng.randrange(len(value) + 1)
            value = value[:at] + _text(rng) + value[at + rng.choice((0, 1, 5)) :]
        headers.append((name, value.strip()))
    return Case(method, path, tuple(headers), rng.choice((b"", PICTURES["PNG"], _form(PICTURES["GIF"]), b"{}")))


def _queries(rng: Random) -> Case:
    method, path = rng.choice(_PATHS)
    names = ("top_k", "explain", "length", "format", "rows", "columns", "first", "a")
    values = ("", "1", "-1", "1e9", "true", "npz", "%00", "%ff%fe", "9" * 5000, "%F0%9F%98%80", "&", "=", "%", "+")
    parts = [f"{rng.choice(names)}={rng.choice(values)}" for _ in range(rng.choice((1, 2, 30)))]
    tail = rng.choice(("", "", "/", "/%00", "/%2e%2e", "/" + "9" * 3000, "/-1"))
    body = PICTURES["PNG"] if method == "POST" else b""
    return Case(method, f"{path}{tail}?{'&'.join(parts)}", (), body)


def _forms(rng: Random) -> Case:
    """Return a form that is damaged anywhere, also in its delimiters and headers."""
    body = _form(*(PICTURES["PNG"] for _ in range(rng.choice((0, 1, 2, 70)))))
    pieces = (
        b"\r\n",
        b"\r\n--",
        b"--boundary",
        b"--boundary--",
        b'Content-Disposition: form-data; name="',
        b'"',
        b"\0",
    )
    found = bytearray(body)
    for _ in range(rng.choice((1, 2, 10))):
        at = rng.randrange(len(found) + 1)
        found[at : at + rng.choice((0, 1, 20))] = rng.choice(pieces) * rng.choice((1, 1, 300))
    content_type = rng.choice(
        (_FORM, _FORM, _FORM, _FORM + "x", "multipart/form-data", "multipart/form-data; boundary=")
    )
    path = rng.choice(("/predict", "/predict/batch", "/read", "/read/batch"))
    return Case("POST", path, (("content-type", content_type),), bytes(found))


def _value(rng: Random, depth: int = 0) -> Any:
    """Return a random JSON value."""
    kind = rng.randrange(10 if depth < 4 else 7)
    if kind == 0:
        return rng.choice((None, True, False))
    if kind == 1:
        return rng.choice((*_NUMBERS, -1, 10**400, 0.5, 1e308, float("nan"), float("inf")))
    if kind < 5:
        return rng.choice(("", "7", "\ud800", "\0", "é", "data:image/png;base64,", "AAAA", "😀" * 50, "x" * 5000))
    if kind < 7:
        return [0] * rng.choice((0, 1, 28, 784, 3000))
    if kind == 7:
        return {str(_value(rng, 9)): _value(rng, depth + 1) for _ in range(rng.choice((0, 1, 5)))}
    return [_value(rng, depth + 1) for _ in range(rng.choice((0, 1, 5)))]


def _mutated_json(rng: Random, value: Any) -> Any:
    """Return a JSON value with one of its parts deleted or replaced."""
    if rng.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return _value(rng)
    key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
    changed = value.copy()
    if rng.random() < 0.1:
        del changed[key]
    else:
        changed[key] = _mutated_json(rng, changed[key])
    return changed


def _json_bytes(rng: Random, value: Any) -> bytes:
    """Return a JSON value as bytes, sometimes damaged or too deeply nested."""
    text = json.dumps(value, ensure_ascii=rng.random() < 0.7).encode(errors="surrogatepass")
    chance = rng.random()
    if chance < 0.1:
        return damaged(rng, text)
    if chance < 0.15:
        return rng.choice((b"[", b'{"image":', b'{"a":[')) * rng.choice((10, 100_000))
    return text


def _json(rng: Random) -> Case:
    picture = base64.b64encode(rng.choice(tuple(PICTURES.values()))).decode()
    document = rng.choice(
        ({"image": picture}, {"image": f"data:image/png;base64,{picture}"}, {"pixels": [[0] * 28] * 28})
    )
    path = rng.choice(("/predict", "/predict", "/read"))
    return Case("POST", path, (("content-type", _JSON),), _json_bytes(rng, _mutated_json(rng, document)))


def _pages(rng: Random) -> Case:
    """Return a valid picture with much to read: noise, a chessboard, stripes, or sevens, in black and white."""
    height, width, period = rng.randrange(20, 600), rng.randrange(20, 600), rng.choice((1, 2, 3, 5, 8, 13, 40))
    rows, columns = np.mgrid[:height, :width] // period
    kind = rng.randrange(4)
    if kind == 0:
        shares = np.random.default_rng(rng.randrange(2**32)).random((height // period + 1, width // period + 1))
        page = (shares < rng.choice((0.05, 0.3, 0.5)))[rows, columns]
    elif kind == 1:
        page = (rows + columns) % 2 == 0
    elif kind == 2:
        page = (rows if rng.random() < 0.5 else columns) % 2 == 0
    else:
        seven = np.zeros((14, 10), bool)
        seven[2:4, 2:9] = seven[4:12, 6:8] = True
        page = seven[rows % 14, columns % 10]
    if rng.random() < 0.3:
        page = ~page
    query = rng.choice(("", "?explain=true", "?length=1", "?length=256"))
    return Case("POST", "/read" + query, (), _encoded(Image.fromarray(page), "PNG"))


def _v2(rng: Random) -> Case:
    """Return a damaged inference request, as JSON alone or with binary tensor data."""
    raw = rng.randbytes(784)
    given: dict[str, Any] = {"name": "image", "datatype": "UINT8", "shape": [1, 784], "data": list(raw)}
    behind = b""
    if rng.random() < 0.5:
        del given["data"]
        kind, behind = rng.choice(
            (
                ("UINT8", raw),
                ("FP32", bytes(3136)),
                ("BYTES", len(PICTURES["PNG"]).to_bytes(4, "little") + PICTURES["PNG"]),
            )
        )
        given |= {"datatype": kind, "parameters": {"binary_data_size": len(behind)}}
        given["shape"] = [1] if kind == "BYTES" else [1, 784]
    elif rng.random() < 0.3:
        given |= {"datatype": "BYTES", "shape": [1], "data": [base64.b64encode(PICTURES["GIF"]).decode()]}
    asked = [{"name": "predict_proba", "parameters": {"classification": 3}}, {"name": "predict"}]
    document = {"id": "1", "inputs": [given], "outputs": asked, "parameters": {"binary_data_output": True}}
    text = _json_bytes(rng, _mutated_json(rng, document) if rng.random() < 0.9 else document)
    if behind and rng.random() < 0.4:
        behind = damaged(rng, behind)
    length = str(len(text) + rng.choice((0, 0, 0, -1, 1, 10**6)))
    headers = (("inference-header-content-length", length),) if behind else ()
    return Case("POST", _INFER, headers, text + behind)


KINDS: Mapping[str, Callable[[Random], Case]] = MappingProxyType(
    {
        **{f"mutated {name}": _mutated(name) for name in PICTURES},
        "random behind magic": _random,
        "EXIF": _exif,
        "headers": _headers,
        "paths and queries": _queries,
        "forms": _forms,
        "JSON": _json,
        "much to read": _pages,
        "V2": _v2,
    }
)
