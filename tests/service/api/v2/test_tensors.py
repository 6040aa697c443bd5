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


@pytest.mark.parametrize("datatype", DTYPES)
@pytest.mark.parametrize("shape", [(0, 3), (3,), (2, 3), (1, 2, 3)], ids=str)
def test_numbers_come_through_both_forms(datatype: str, shape: tuple[int, ...]) -> None:
    """What is written as JSON or as bytes is read as it was."""
    values = np.arange(np.prod(shape)).reshape(shape).astype(DTYPES[datatype])
    tensor = Tensor("x", datatype, shape, values)

    for found in (
        read_tensor("x", datatype, shape, data=json.loads(json.dumps(json_values(tensor))), raw=None),
        read_tensor("x", datatype, shape, data=values.tolist(), raw=None),
        read_tensor("x", datatype, shape, data=None, raw=raw_values(tensor)),
    ):
        assert isinstance(found.values, np.ndarray)
        assert values.dtype == found.values.dtype
        assert values.tolist() == found.values.tolist()
        assert shape == found.shape


def test_bytes_are_as_the_protocol_has_them() -> None:
    """Little-endian, row after row, whatever the machine and the layout in memory."""
    values = np.array([[1, 2], [3, 4]], ">i4").T

    assert b"".join(n.to_bytes(4, "little") for n in (1, 3, 2, 4)) == raw_values(Tensor("x", "INT32", (2, 2), values))


def test_floats_have_their_shortest_decimals() -> None:
    """0.1 is written so, and not as the float64 next to the float32."""
    assert [0.1] == json_values(Tensor("x", "FP32", (1,), np.array([0.1], np.float32)))


def test_byte_strings_come_through_as_bytes() -> None:
    """Each is preceded by its length."""
    raw = raw_values(Tensor("x", BYTES, (3,), TEXTS))

    assert bytes([0, 0, 0, 0, 3, 0, 0, 0]) + b"one" == raw[:11]
    assert TEXTS == read_tensor("x", BYTES, (3,), data=None, raw=raw).values


def test_strings_in_json_are_text() -> None:
    """Flat or nested, as clients write them."""
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
        ("FP32", [1], [None], None, "not numbers"),
        ("FP32", [1], [10**400], None, "not numbers"),
        ("UINT8", [1], [0.5], None, "fractions"),
        ("UINT8", [1], [256], None, "do not fit"),
        ("UINT8", [1], [-1], None, "do not fit"),
        ("UINT8", [2], [1, 0.5], None, "fractions"),
        ("UINT8", [2], [1, 256], None, "do not fit"),
        ("UINT8", [2], [1, [2]], None, "no regular list"),
        ("UINT8", [2], [1, None], None, "not numbers"),
        ("UINT8", [2], [1, "2"], None, "not numbers"),
        ("UINT8", [2], [True, False], None, "not numbers"),
        ("FP16", [1], [1.0], None, "known are UINT8"),
        (BYTES, [1], [1], None, "not strings"),
        (BYTES, [1], ["\ud800"], None, "not strings"),
        (BYTES, [2], ["a"], None, "1 elements"),
        (BYTES, [1], None, b"\x05\0\0\0abc", "within an element"),
        (BYTES, [1], None, b"\x05\0", "within an element"),
    ],
)
def test_what_is_no_tensor_is_refused(
    datatype: str, shape: list[int], data: Any, raw: bytes | None, reason: str
) -> None:
    """The error names the input and says what does not fit; no number is bent to fit."""
    with pytest.raises(InvalidBody, match=f"^input 'x' .*{reason}"):
        read_tensor("x", datatype, shape, data=data, raw=raw)


def test_the_header_says_where_the_bytes_begin() -> None:
    """Without it, all of the body is JSON."""
    assert ({"a": 1}, b"") == split_body(b'{"a": 1}', None)
    assert ({"a": 1}, b"\x00{") == split_body(b'{"a": 1}\x00{', "8")


@pytest.mark.parametrize("length", ["9", "-1", "1.0", "", "²", "9" * 5000])
def test_a_length_beyond_the_body_is_refused(length: str) -> None:
    """The header has to be a number within the body."""
    with pytest.raises(InvalidBody, match="Inference-Header-Content-Length"):
        split_body(b'{"a": 1}', length)


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 200_000, b"\xff"])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    """Truncated, bottomless or binary: the error says it is not JSON."""
    with pytest.raises(InvalidJson, match="not JSON"):
        split_body(body, None)
