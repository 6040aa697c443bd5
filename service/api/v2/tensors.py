"""Codec of tensors in the Open Inference Protocol V2: JSON or binary tensor data <-> numpy arrays.

Enters: the body of a request. Leaves: its JSON and its tensors; and back. Binary tensor data follows the JSON: values
are little-endian and row-major; each element of BYTES has a 4-byte length prefix. Out of scope: datatypes of the
protocol other than those below, which tensors a model takes, and HTTP.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from service.api import untrusted_json
from service.errors import InvalidBody

BYTES = "BYTES"
_DTYPES: Mapping[str, npt.DTypeLike] = MappingProxyType(
    {"UINT8": "u1", "INT32": "<i4", "INT64": "<i8", "FP32": "<f4", "FP64": "<f8"}
)
_LENGTH = re.compile("[0-9]{1,18}")
# Enough for 318 digits as JSON numbers.
_MAX_STRUCTURAL = 250_000


@dataclass(frozen=True, eq=False)
class Tensor:
    """A named tensor. `values` is an array of this shape; for BYTES a flat list of byte strings in row-major order."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: npt.NDArray[Any] | list[bytes]


def split_body(body: bytes, json_length: str | None) -> tuple[Any, bytes]:
    """Return the parsed JSON of a body and the binary tensor data after it.

    `json_length` is the header Inference-Header-Content-Length, the number of bytes of the JSON; None: all bytes.
    Raises InvalidJson and InvalidBody.
    """
    length = len(body)
    if json_length is not None:
        if not _LENGTH.fullmatch(json_length) or int(json_length) > length:
            message = f"Inference-Header-Content-Length is {json_length}, but the body has {length} bytes"
            raise InvalidBody(message)
        length = int(json_length)
    content = untrusted_json.parse(body[:length], _MAX_STRUCTURAL, "send larger tensors as binary tensor data")
    return content, body[length:]


def read_tensor(name: str, datatype: str, shape: Sequence[int], *, data: Any, raw: bytes | None) -> Tensor:
    """Return one tensor, read from `raw` bytes, or from the JSON list `data` if `raw` is None. Raises InvalidBody."""
    n_elements = math.prod(shape)
    if min(shape, default=0) < 0:
        raise _invalid(name, f"its shape is {list(shape)}")
    if raw is None and data is None:
        raise _invalid(name, "it has neither data nor binary_data_size")
    if datatype == BYTES:
        strings = _parse_strings(name, data) if raw is None else _split_byte_strings(name, raw)
        if len(strings) != n_elements:
            raise _invalid(name, f"it has {len(strings)} elements, but its shape is {list(shape)}")
        return Tensor(name, datatype, tuple(shape), strings)
    if datatype not in _DTYPES:
        raise _invalid(name, f"its datatype is {datatype!r}; supported are {', '.join([*_DTYPES, BYTES])}")
    dtype = np.dtype(_DTYPES[datatype])
    if raw is None:
        values = _parse_numbers(name, data, dtype)
    elif len(raw) % dtype.itemsize:
        raise _invalid(name, f"its {len(raw)} bytes are not a multiple of the size of {datatype}")
    else:
        values = np.frombuffer(raw, dtype)
    if values.size != n_elements:
        raise _invalid(name, f"it has {values.size} values, but its shape is {list(shape)}")
    return Tensor(name, datatype, tuple(shape), values.reshape(shape))


def json_values(tensor: Tensor) -> list[Any]:
    """Return the values as a flat row-major list for JSON; float32 as the shortest decimals that round-trip."""
    if isinstance(tensor.values, list):
        return [value.decode() for value in tensor.values]
    flat = tensor.values.ravel()
    return [float(str(value)) for value in flat] if flat.dtype == np.float32 else flat.tolist()


def raw_values(tensor: Tensor) -> bytes:
    """Return the values as binary tensor data."""
    if isinstance(tensor.values, list):
        return b"".join(len(value).to_bytes(4, "little") + value for value in tensor.values)
    return np.ascontiguousarray(tensor.values, _DTYPES[tensor.datatype]).tobytes()


def _invalid(name: str, reason: str) -> InvalidBody:
    return InvalidBody(f"input {name!r} is invalid: {reason}")


def _parse_numbers(name: str, data: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return a flat array of `dtype` from a flat or nested list. Rejects numbers that would be rounded or wrapped."""
    if dtype == np.uint8 and data and type(data[0]) is int:
        # Fast path for flat UINT8 data, the usual form of digits: `bytes` checks the range in a third of the time.
        with suppress(ValueError, TypeError):
            return np.frombuffer(bytes(data), np.uint8)
    try:
        parsed = np.array(data)
    except (ValueError, OverflowError) as error:
        raise _invalid(name, "its data are not a regular list of numbers") from error
    if parsed.dtype.kind not in "iuf":
        raise _invalid(name, "its data are not numbers")
    if dtype.kind in "iu" and parsed.dtype.kind == "f" and parsed.size:
        raise _invalid(name, "its data have fractions, but its datatype is for integers")
    with np.errstate(over="ignore"):  # overflow is detected below
        values = parsed.astype(dtype)
    if dtype.kind in "iu" and not (values == parsed).all():
        raise _invalid(name, "its data do not fit its datatype")
    return values.ravel()


def _parse_strings(name: str, data: Any) -> list[bytes]:
    flat = np.array(data, object).ravel().tolist()
    try:
        return [value.encode() for value in flat]
    except (AttributeError, UnicodeEncodeError) as error:
        raise _invalid(name, "its data are not strings") from error


def _split_byte_strings(name: str, raw: bytes) -> list[bytes]:
    strings = []
    position = 0
    while position < len(raw):
        length = int.from_bytes(raw[position : position + 4], "little")
        position += 4
        if position + length > len(raw):
            raise _invalid(name, "its bytes end within an element")
        strings.append(raw[position : position + length])
        position += length
    return strings
