"""Negatives are generated in every kind, in MNIST form, and show no single digit."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import label

from service.images.mnist_frame import CENTRE, centre_of_mass
from tests.training.tiny import draw_digits
from training.glyphs import FORMS, GLYPHS
from training.mnist import Digits
from training.negatives import Images, make_negatives
from training.synthetic_digits import draw

pytestmark = pytest.mark.slow

N = 120
DIGITS = draw_digits(100, seed=5)
KINDS = ("figures", "scribbles", "several digits", "turned digits", "blobs", "noise", "stripes")
# Some are framed by the service's own normalisation, some drawn with the pen in MNIST form, some are digits of MNIST.
FRAMED = ("several digits", "blobs", "noise", "stripes")


@pytest.fixture(scope="module")
def negatives() -> dict[str, Images]:
    """Return many images of each kind."""
    return make_negatives(N, DIGITS, np.random.default_rng(0))


def sides(images: Images) -> npt.NDArray[np.int64]:
    """Return height and width of the foreground's bounding boxes, (n, 2)."""
    return np.array([[np.ptp(image.any(axis=axis).nonzero()[0]) + 1 for axis in (1, 0)] for image in images])


def test_each_kind_has_its_number_of_images(negatives: dict[str, Images]) -> None:
    """There are seven kinds, with n images or a multiple of it, of MNIST's shape and dtype."""
    assert KINDS == tuple(negatives)
    assert [4 * N, 2 * N, 2 * N, *[N] * 4] == [len(images) for images in negatives.values()]
    assert {((28, 28), np.dtype(np.uint8))} == {(images.shape[1:], images.dtype) for images in negatives.values()}


@pytest.mark.parametrize("kind", KINDS)
def test_images_have_foreground_and_differ(negatives: dict[str, Images], kind: str) -> None:
    """Every image has foreground and background, and images of a kind differ."""
    images = negatives[kind]

    assert images.max(axis=(1, 2)).min() > 128
    assert images.mean(axis=(1, 2)).max() < 160
    # Of a hundred digits, thirty are turned in two ways.
    assert len(np.unique(images, axis=0)) >= (len(images) if kind != "turned digits" else 40)


@pytest.mark.parametrize("kind", FRAMED)
def test_images_are_normalised(negatives: dict[str, Images], kind: str) -> None:
    """The longer side of the foreground is 20 pixels."""
    longer = sides(negatives[kind]).max(axis=1)

    assert (np.full_like(longer, 20) == longer).all()


@pytest.mark.parametrize("kind", ["figures", "scribbles"])
def test_drawn_images_are_centred(negatives: dict[str, Images], kind: str) -> None:
    """Their centre of mass is the centre, as for digits."""
    centres = np.array([centre_of_mass(image.astype(np.float32)) for image in negatives[kind]])

    np.testing.assert_allclose(np.full_like(centres, CENTRE), centres, atol=0.6)


def test_seed_determines_the_images() -> None:
    """The same seed gives the same images, another seed others."""
    first, again, other = (make_negatives(10, DIGITS, np.random.default_rng(seed)) for seed in (0, 0, 1))

    for kind, images in first.items():
        np.testing.assert_array_equal(images, again[kind])
        assert (images != other[kind]).any(axis=(1, 2)).mean() > 0.8


def test_glyphs_are_no_digits() -> None:
    """No glyph is a form of a digit, and none occurs twice."""
    assert len(GLYPHS) == len(set(GLYPHS))
    assert set() == set(GLYPHS) & {form for forms in FORMS.values() for form in forms}


def test_most_glyphs_occur(negatives: dict[str, Images]) -> None:
    """Most glyphs are the nearest ones, by cosine similarity, of some image."""
    rng = np.random.default_rng(2)
    likenesses = np.stack([draw(figure, 6, rng).mean(axis=0).ravel() for figure in GLYPHS])
    likenesses /= np.linalg.norm(likenesses, axis=1, keepdims=True)

    images = negatives["figures"].reshape(-1, 784)
    found = set((images @ likenesses.T).argmax(axis=1).tolist())

    assert len(images) > 3 * len(GLYPHS)
    assert len(found) > 0.8 * len(GLYPHS)


def test_turned_digits_are_rotated_or_mirrored(negatives: dict[str, Images]) -> None:
    """Each is a 3, 4 or 7, rotated by 90 degrees or mirrored, and both occur."""
    learned = DIGITS.images[np.isin(DIGITS.labels, [3, 4, 7])]
    mirrored = {image[:, ::-1].tobytes() for image in learned}
    turned = {np.rot90(image).tobytes() for image in learned}

    found = {image.tobytes() for image in negatives["turned digits"]}

    assert found <= mirrored | turned
    assert found & mirrored
    assert found & turned


def test_digits_of_other_classes_are_not_turned() -> None:
    """Without 3, 4 and 7 there are no turned digits, but all other kinds."""
    kinds = make_negatives(3, DIGITS.only([0, 1]), np.random.default_rng(4))

    assert [12, 6, 6, 0, 3, 3, 3] == [len(images) for images in kinds.values()]


def test_several_digits_are_in_a_row_or_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two or three digits are in a row, about one time in seven in a column."""
    # Figures and scribbles are not looked at here, and take most of the time.
    monkeypatch.setattr("training.negatives.draw", lambda _, n, *_style: np.zeros((n, 28, 28), np.uint8))
    # Solid blocks, higher than wide as digits are, are counted by their gaps.
    images = np.zeros((10, 28, 28), np.uint8)
    images[:, 4:24, 9:19] = 255
    blocks = Digits(images, np.arange(10))

    rows = make_negatives(200, blocks, np.random.default_rng(3))["several digits"]

    heights, widths = sides(rows).T
    # Two blocks of 10 by 20 are about as wide as high side by side, but four times as high as wide upon each other.
    assert 0.07 < np.mean(heights > 1.5 * widths) < 0.23
    # Three side by side are half as wide again as high.
    assert 0.18 < np.mean(widths > 1.3 * heights) < 0.4
    counts = np.bincount([label(image > 128)[1] for image in rows], minlength=4)
    # Blocks that touch or overlap are joined, half of the pairs.
    assert counts[1] > 50
    assert counts[2] > 50
    assert counts[3] > 5
    assert not counts[4:].any()


def test_stripes_have_any_angle(negatives: dict[str, Images]) -> None:
    """The spectrum has a dominant peak, at any angle."""
    angles = []
    for image in negatives["stripes"]:
        spectrum = np.abs(np.fft.fftshift(np.fft.fft2(image - image.mean(), (64, 64))))
        spectrum[32 - 2 : 32 + 3, 32 - 2 : 32 + 3] = 0
        row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
        angles.append(np.degrees(np.arctan2(row - 32, column - 32)) % 180)
        assert spectrum.max() > 8 * spectrum.mean()

    counts, _ = np.histogram(angles, bins=4, range=(0, 180))
    assert counts.min() >= N / 10


def test_noise_is_finer_than_blobs(negatives: dict[str, Images]) -> None:
    """Blobs have few connected components, noise has many."""
    specks = {kind: np.mean([label(image > 128)[1] for image in negatives[kind]]) for kind in ("blobs", "noise")}

    assert specks["blobs"] < 5 < specks["noise"]
