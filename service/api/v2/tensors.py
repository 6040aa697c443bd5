"""Tensors as the Open Inference Protocol V2 writes them, in JSON or as bytes behind it, <-> numpy arrays.

Enters: the body of a request. Leaves: its JSON and the arrays that it holds; and back. The binary form is its
extension for binary tensor data: little-endian values, row-major; an element of BYTES is preceded by its length in
four bytes. Of the protocol's datatypes those in which digits come. Out of scope: which tensors a model takes, and HTTP.
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
# 318 digits as numbers.
_MOST_MARKS = 250_000


@dataclass(frozen=True, eq=False)
class Tensor:
    """A named array; for BYTES a list of as many byte strings as its shape says."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: npt.NDArray[Any] | list[bytes]


def split_body(body: bytes, json_length: str | None) -> tuple[Any, bytes]:
    """Return the JSON of a body and the bytes behind it; json_length is the header that says where they begin.

    Raises InvalidJson and InvalidBody.
    """
    length = len(body)
    if json_length is not None:
        if not _LENGTH.fullmatch(json_length) or int(json_length) > length:
            message = f"Inference-Header-Content-Length is {json_length}, but the body has {length} bytes"
            raise InvalidBody(message)
        length = int(json_length)
    return untrusted_json.parse(body[:length], _MOST_MARKS, "send larger tensors as bytes behind it"), body[length:]


def read_tensor(name: str, datatype: str, shape: Sequence[int], *, data: Any, raw: bytes | None) -> Tensor:
    """Return one tensor: from `data`, the JSON list, or from its `raw` bytes. Raises InvalidBody."""
    n_elements = math.prod(shape)
    if min(shape, default=0) < 0:
        raise _invalid(name, f"its shape is {list(shape)}")
    if raw is None and data is None:
        raise _invalid(name, "it has neither data nor binary_data_size")
    if datatype == BYTES:
        strings = _strings(name, data) if raw is None else _byte_strings(name, raw)
        if len(strings) != n_elements:
            raise _invalid(name, f"it has {len(strings)} elements, but its shape is {list(shape)}")
        return Tensor(name, datatype, tuple(shape), strings)
    if datatype not in _DTYPES:
        raise _invalid(name, f"its datatype is {datatype!r}; known are {', '.join([*_DTYPES, BYTES])}")
    dtype = np.dtype(_DTYPES[datatype])
    if raw is None:
        values = _numbers(name, data, dtype)
    elif len(raw) % dtype.itemsize:
        raise _invalid(name, f"its {len(raw)} bytes are no whole number of {datatype}")
    else:
        values = np.frombuffer(raw, dtype)
    if values.size != n_elements:
        raise _invalid(name, f"it has {values.size} values, but its shape is {list(shape)}")
    return Tensor(name, datatype, tuple(shape), values.reshape(shape))


def json_values(tensor: Tensor) -> list[Any]:
    """Return the values of a tensor as a flat list for JSON, row-major; floats in their shortest decimals."""
    if isinstance(tensor.values, list):
        return [value.decode() for value in tensor.values]
    flat = tensor.values.ravel()
    return [float(str(value)) for value in flat] if flat.dtype == np.float32 else flat.tolist()


def raw_values(tensor: Tensor) -> bytes:
    """Return the values of a tensor as bytes."""
    if isinstance(tensor.values, list):
        return b"".join(len(value).to_bytes(4, "little") + value for value in tensor.values)
    return np.ascontiguousarray(tensor.values, _DTYPES[tensor.datatype]).tobytes()


def _invalid(name: str, what: str) -> InvalidBody:
    return InvalidBody(f"input {name!r} cannot be read: {what}")


def _numbers(name: str, data: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return numbers from a list, nested or flat; none is rounded or wrapped to fit its datatype."""
    if dtype == np.uint8 and data and type(data[0]) is int:
        # Python checks flat bytes, the usual form of digits, in a third of the time.
        with suppress(ValueError, TypeError):
            return np.frombuffer(bytes(data), np.uint8)
    try:
        found = np.array(data)
    except (ValueError, OverflowError) as error:
        raise _invalid(name, "its data are no regular list of numbers") from error
    if found.dtype.kind not in "iuf":
        raise _invalid(name, "its data are not numbers")
    if dtype.kind in "iu" and found.dtype.kind == "f" and found.size:
        raise _invalid(name, "its data have fractions, but its datatype is for integers")
    with np.errstate(over="ignore"):  # found below
        values = found.astype(dtype)
    if dtype.kind in "iu" and not (values == found).all():
        raise _invalid(name, "its data do not fit its datatype")
    return values.ravel()


def _strings(name: str, data: Any) -> list[bytes]:
    flat = np.array(data, object).ravel().tolist()
    try:
        return [value.encode() for value in flat]
    except (AttributeError, UnicodeEncodeError) as error:
        raise _invalid(name, "its data are not strings") from error


def _byte_strings(name: str, raw: bytes) -> list[bytes]:
    found = []
    at = 0
    while at < len(raw):
        length = int.from_bytes(raw[at : at + 4], "little")
        at += 4
        if at + length > len(raw):
            raise _invalid(name, "its bytes end within an element")
        found.append(raw[at : at + length])
        at += length
    return found
