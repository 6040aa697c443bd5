"""Weight images have the lecture's greys, one tile per unit."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from service.errors import NotAPicture
from service.model import weight_images
from service.model.network import Layer
from service.types import IMAGE_SIDE, PIXELS
from tests.conftest import make_network

# As the sheet is drawn: a weight is a square of 4 pixels, and 4 pixels lie between tiles.
SCALE = GAP = 4
TILE = IMAGE_SIDE * SCALE


def layer(weights: npt.NDArray[np.float32]) -> Layer:
    """Return a layer with these weights."""
    return Layer(weights, np.zeros(weights.shape[1], np.float32), "relu")


def sheet(weights: npt.NDArray[np.float32], rows: int, columns: int, first: int = 0) -> npt.NDArray[np.uint8]:
    """Return the PNG as an array."""
    image = Image.open(io.BytesIO(weight_images.draw(layer(weights), rows, columns, first)))
    assert image.format == "PNG"
    assert image.mode == "L"
    return np.asarray(image)


def tile(drawn: npt.NDArray[np.uint8], row: int, column: int) -> npt.NDArray[np.uint8]:
    """Return the pixels of one tile."""
    top, left = row * (TILE + GAP), column * (TILE + GAP)
    return drawn[top : top + TILE, left : left + TILE]


def constant(*values: float) -> npt.NDArray[np.float32]:
    """Return weights that are constant for each unit."""
    return np.tile(np.array(values, np.float32), (PIXELS, 1))


def test_greys_are_those_of_the_lecture() -> None:
    """Black is half the smallest weight of all units, white half the largest, and greys are linear between."""
    # The lecture: vmin, vmax = coefs[0].min(), coefs[0].max(); matshow(..., vmin=.5 * vmin, vmax=.5 * vmax).
    # Weights from -2 to 4 make vmin / 2 = -1 and vmax / 2 = 2: a weight w has the grey 255 * (w + 1) / 3.
    drawn = sheet(constant(-2, -1, -0.4, 0, 0.8, 2, 4), 1, 7)

    assert [[0], [0], [51], [85], [153], [255], [255]] == [np.unique(tile(drawn, 0, i)).tolist() for i in range(7)]


def test_scale_is_that_of_the_whole_layer() -> None:
    """A window has the greys of the whole layer, so that windows can be compared."""
    assert [85] == np.unique(sheet(constant(-2, 4, 0), 1, 1, first=2)).tolist()


def test_tile_is_in_row_major_order() -> None:
    """Weight 28 * y + x of a unit is the square at column x and row y."""
    weights = np.zeros((PIXELS, 1), np.float32)
    weights[28 * 3 + 5] = 1
    weights[28 * 20 + 27] = -1
    drawn = sheet(weights, 1, 1)
    # Half the extremes are -0.5 and 0.5: 0 is the middle grey, 127.5, and rounds to the even 128.
    expected = np.full((TILE, TILE), 128, np.uint8)
    expected[12:16, 20:24] = 255
    expected[80:84, 108:112] = 0

    np.testing.assert_array_equal(drawn, expected)


def test_tiles_are_row_by_row_with_white_gaps() -> None:
    """Two rows of three from unit 1 on are 1 2 3 above 4 5 and an empty tile."""
    # Half the extremes are 0 and 5: the grey of a weight w is 51 * w.
    drawn = sheet(constant(0, 1, 2, 3, 4, 10), 2, 3, first=1)
    greys = [[np.unique(tile(drawn, row, column)).tolist() for column in range(3)] for row in range(2)]

    assert (2 * TILE + GAP, 3 * TILE + 2 * GAP) == drawn.shape
    assert [[[51], [102], [153]], [[204], [255], [255]]] == greys
    assert [255] == np.unique(drawn[TILE : TILE + GAP]).tolist()
    assert [255] == np.unique(drawn[:, TILE : TILE + GAP]).tolist()


@pytest.mark.parametrize("first", [0, 4])
def test_window_of_one_tile_shows_the_first_unit(first: int) -> None:
    """A window of one tile shows the unit `first`."""
    assert [51 * first] == np.unique(sheet(constant(0, 1, 2, 3, 4, 10), 1, 1, first)).tolist()


def test_constant_layer_can_be_drawn() -> None:
    """Equal weights are one grey, without a division by zero."""
    assert [0] == np.unique(sheet(constant(0, 0), 1, 2)[:, :TILE]).tolist()


@pytest.mark.parametrize("first", [-1, 3])
def test_window_without_units_is_rejected(first: int) -> None:
    """The error has the range of the units."""
    with pytest.raises(NotAPicture, match=f"^first is {first}, but the layer's units are numbered 0 to 2$"):
        weight_images.draw(layer(constant(1, 2, 3)), 1, 1, first)


def test_later_layers_are_rejected() -> None:
    """The inputs of other layers than the first are units, not pixels."""
    with pytest.raises(NotAPicture, match="this layer's 20 inputs are units of the layer before, not pixels"):
        weight_images.draw(make_network(20).layers[1], 1, 1, 0)
