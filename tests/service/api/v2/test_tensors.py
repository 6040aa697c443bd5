"""Tests of service.api.v2.tensors."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from service.api.v2.tensors import BYTES, Tensor, json_values, raw_values, read_tensor, split_body
from service.errors import InvalidBody, InvalidJson

DTYPES = {"UINT8": np.uint8, "INT32": np.int32, "INT64": np.int64, "FP32": np.float32, "FP64": np.float64}
TEXTS = [b"", b"one", bytes(range(256))]


@pytest.mark.parametrize(
    ("datatype", "shape"),
    [*((datatype, (2, 3)) for datatype in DTYPES), *(("FP32", shape) for shape in ((0, 3), (3,), (1, 2, 3)))],
    ids=str,
)
def test_numbers_round_trip(datatype: str, shape: tuple[int, ...]) -> None:
    """As flat JSON, as nested JSON and as binary tensor data."""
    values = np.arange(np.prod(shape)).reshape(shape).astype(DTYPES[datatype])
    tensor = Tensor("x", datatype, shape, values)

    for parsed in (
        read_tensor("x", datatype, shape, data=json.loads(json.dumps(json_values(tensor))), raw=None),
        read_tensor("x", datatype, shape, data=values.tolist(), raw=None),
        read_tensor("x", datatype, shape, data=None, raw=raw_values(tensor)),
    ):
        assert isinstance(parsed.values, np.ndarray)
        assert values.dtype == parsed.values.dtype
        assert values.tolist() == parsed.values.tolist()
        assert shape == parsed.shape


def test_binary_layout_of_numbers() -> None:
    """Little-endian and row-major, whatever the layout in memory."""
    values = np.array([[1, 2], [3, 4]], ">i4").T

    assert b"".join(n.to_bytes(4, "little") for n in (1, 3, 2, 4)) == raw_values(Tensor("x", "INT32", (2, 2), values))


def test_float32_has_the_shortest_decimals() -> None:
    """0.1, not the float64 that equals the float32."""
    assert [0.1] == json_values(Tensor("x", "FP32", (1,), np.array([0.1], np.float32)))


def test_byte_strings_round_trip() -> None:
    """Each has a 4-byte length prefix."""
    raw = raw_values(Tensor("x", BYTES, (3,), TEXTS))

    assert bytes([0, 0, 0, 0, 3, 0, 0, 0]) + b"one" == raw[:11]
    assert TEXTS == read_tensor("x", BYTES, (3,), data=None, raw=raw).values


def test_byte_strings_in_json() -> None:
    """As text, flat or nested."""
    assert ["a", "ö"] == json_values(Tensor("x", BYTES, (2,), [b"a", "ö".encode()]))
    assert [b"a", "ö".encode()] == read_tensor("x", BYTES, (2, 1), data=[["a"], ["ö"]], raw=None).values


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "raw", "reason"),
    [
        ("FP32", [2], [1.0], None, "1 values"),
        ("FP32", [-1], [1.0], None, "shape"),
        ("FP32", [2], None, None, "neither"),
        ("FP32", [2], None, bytes(7), "7 bytes"),
        ("FP32", [2], None, bytes(4), "1 values"),
        ("FP32", [2], [[1.0], [1.0, 2.0]], None, "regular"),
        ("FP32", [2], ["1", "2"], None, "not numbers"),
        ("FP32", [2], [True, False], None, "not numbers"),
        ("FP32", [1], [10**400], None, "not numbers"),
        ("UINT8", [1], [0.5], None, "fractions"),
        ("UINT8", [1], [-1], None, "do not fit"),
        ("UINT8", [2], [1, 0.5], None, "fractions"),
        ("UINT8", [2], [1, 256], None, "do not fit"),
        ("UINT8", [2], [1, [2]], None, "not a regular list"),
        ("UINT8", [2], [1, "2"], None, "not numbers"),
        ("UINT8", [2], [True, False], None, "not numbers"),
        ("FP16", [1], [1.0], None, "supported are UINT8"),
        (BYTES, [1], [1], None, "not strings"),
        (BYTES, [1], ["\ud800"], None, "not strings"),
        (BYTES, [2], ["a"], None, "1 elements"),
        (BYTES, [1], None, b"\x05\0\0\0abc", "within an element"),
        (BYTES, [1], None, b"\x05\0", "within an element"),
    ],
)
def test_invalid_tensors(datatype: str, shape: list[int], data: Any, raw: bytes | None, reason: str) -> None:
    """The error has the name of the input and the reason. Numbers are neither rounded nor wrapped."""
    with pytest.raises(InvalidBody, match=f"^input 'x' .*{reason}"):
        read_tensor("x", datatype, shape, data=data, raw=raw)


def test_json_length() -> None:
    """The header splits the body. Without it the whole body is JSON."""
    assert ({"a": 1}, b"") == split_body(b'{"a": 1}', None)
    assert ({"a": 1}, b"\x00{") == split_body(b'{"a": 1}\x00{', "8")


@pytest.mark.parametrize("length", ["9", "-1", "²", "9" * 5000])
def test_invalid_json_length(length: str) -> None:
    """The header has to be an integer up to the length of the body."""
    with pytest.raises(InvalidBody, match="Inference-Header-Content-Length"):
        split_body(b'{"a": 1}', length)


def test_malformed_json() -> None:
    """Raises InvalidJson; deep nesting within the limit of structural characters, too."""
    with pytest.raises(InvalidJson, match="not JSON"):
        split_body(b"[" * 200_000, None)
