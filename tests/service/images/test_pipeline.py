"""Tests of service.images.pipeline as a whole: the prediction is invariant to how the picture was made."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageChops, ImageOps
from scipy import ndimage

from service.classifier import Classifier
from service.errors import NoInk
from service.images.background import Polarity
from service.images.components import bounding_box
from service.images.pipeline import Normalized, normalize
from service.types import IMAGE_SIDE, ByteArray, FloatArray
from tests.pictures import draw, encode
from tests.service.images.scenes import (
    PEN,
    SCENES,
    cloud,
    dice,
    drawn,
    eight_bits,
    lines,
    magnified,
    painted,
    photo,
    placed,
    ramp,
)
from training.mnist import Mnist

EXIF_ORIENTATION = 274
# The least distance of two colours with contrast, as a share of the RGB cube's diagonal.
CONTRAST = 0.35

digits = pytest.mark.parametrize("digit", range(10))
any_digit = st.integers(0, 9)
level = st.integers(0, 255)
colour = st.tuples(level, level, level)
# Few examples, since each is a whole picture that is read.
examples = settings(max_examples=20)


def distance(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """Return the distance of two colours, as a share of that between black and white."""
    return float(np.linalg.norm(np.subtract(one, other)) / (255 * len(one) ** 0.5))


def normalized(coverage: FloatArray, *, ink: float = 40, paper: float = 220) -> Normalized:
    """Return a picture of ink on paper in MNIST form."""
    return normalize(eight_bits(painted(coverage, ink, paper)))


# --- Invariances


@examples
@given(digit=any_digit, ink=level, paper=level)
def test_inversion_invariance(classifier: Classifier, digit: int, ink: int, paper: int) -> None:
    """A picture and its negative give the same digit and nearly the same input."""
    assume(distance((ink,), (paper,)) >= CONTRAST)
    picture = draw(digit, ink=ink, paper=paper)
    positive = classifier.predict_picture(encode(picture))
    negative = classifier.predict_picture(encode(ImageOps.invert(picture)))

    assert digit == positive.digit == negative.digit
    assert 0.02 > np.abs(positive.input - negative.input).mean()


@examples
@given(digit=any_digit, one=colour, other=colour)
def test_colour_invariance(classifier: Classifier, digit: int, one: tuple[int, ...], other: tuple[int, ...]) -> None:
    """Any two colours with contrast give the same digit, whichever of them is the ink."""
    assume(distance(one, other) >= CONTRAST)

    for ink, paper in ((one, other), (other, one)):
        assert digit == classifier.predict_picture(encode(draw(digit, ink=ink, paper=paper, mode="RGB"))).digit


@examples
@given(
    digit=any_digit,
    side=st.integers(28, 40),
    # Uniform in its logarithm, from 0.5 to 40.
    magnification=st.floats(-1, 5.32).map(lambda power: 2**power),
    resample=st.sampled_from([Image.Resampling.NEAREST, Image.Resampling.BICUBIC]),
    light_on_dark=st.booleans(),
)
def test_scale_invariance(  # noqa: PLR0913, PLR0917 - one parameter for each property
    classifier: Classifier,
    digit: int,
    side: int,
    magnification: float,
    resample: Image.Resampling,
    light_on_dark: bool,  # noqa: FBT001
) -> None:
    """A small picture that is upsampled to up to 1,600 pixels, or downsampled to 14, gives the same digit."""
    ink, paper = (255, 0) if light_on_dark else (0, 255)
    small = draw(digit, size=(side, side), box=(0.2, 0.1, 0.8, 0.9), width=0.1, ink=ink, paper=paper)
    size = round(side * magnification)

    assert digit == classifier.predict_picture(encode(small.resize((size, size), resample))).digit


@examples
@given(digit=any_digit, margins=st.tuples(*[st.integers(0, 200)] * 4), light_on_dark=st.booleans())
def test_padding_invariance(
    classifier: Classifier,
    digit: int,
    margins: tuple[int, int, int, int],
    light_on_dark: bool,  # noqa: FBT001
) -> None:
    """More paper around the digit, on any side, gives the same digit."""
    ink, paper = (230, 20) if light_on_dark else (20, 230)
    picture = ImageOps.expand(draw(digit, ink=ink, paper=paper), margins, paper)

    assert digit == classifier.predict_picture(encode(picture)).digit


@examples
@given(
    digit=any_digit,
    share=st.floats(0.2, 0.8),
    across=st.floats(0, 1),
    down=st.floats(0, 1),
)
def test_translation_and_size_invariance(
    classifier: Classifier, digit: int, share: float, across: float, down: float
) -> None:
    """A digit of 20 % to 80 % of the picture's height, at any place, gives the same digit."""
    left, top = 0.04 + across * (0.92 - share * 2 / 3), 0.04 + down * (0.92 - share)
    box = (left, top, left + share * 2 / 3, top + share)

    assert digit == classifier.predict_picture(encode(draw(digit, size=(300, 300), box=box, width=0.1 * share))).digit


@examples
@given(digit=any_digit, width=st.integers(60, 600), height=st.integers(60, 600))
def test_aspect_ratio_invariance(classifier: Classifier, digit: int, width: int, height: int) -> None:
    """Pictures of any aspect ratio give the same digit."""
    tall = 0.7 * min(width, height)
    across, down = tall / 3 / width, tall / 2 / height
    box = (0.5 - across, 0.5 - down, 0.5 + across, 0.5 + down)

    assert digit == classifier.predict_picture(encode(draw(digit, size=(width, height), box=box))).digit


@examples
@given(digit=any_digit, ink=colour)
def test_ink_in_the_alpha_channel_may_have_any_colour(
    classifier: Classifier, digit: int, ink: tuple[int, int, int]
) -> None:
    """A drawing on a transparent ground gives its digit, whatever its colour and the hidden colour of the ground."""
    for hidden in ((0, 0, 0, 0), (255, 255, 255, 0)):
        picture = draw(digit, ink=(*ink, 255), paper=hidden, mode="RGBA")

        assert digit == classifier.predict_picture(encode(picture)).digit


@examples
@given(
    digit=any_digit,
    angle=st.floats(0, 2 * np.pi),
    darkest=st.floats(0.45, 1),
    light_on_dark=st.booleans(),
    form=st.sampled_from(["PNG", "JPEG"]),
)
def test_light_from_one_side_invariance(  # noqa: PLR0913, PLR0917 - one parameter for each property
    classifier: Classifier,
    digit: int,
    angle: float,
    darkest: float,
    light_on_dark: bool,  # noqa: FBT001
    form: str,
) -> None:
    """A picture that gets darker in any direction, to less than half the light, gives the same digit."""
    ink, paper = (220, 40) if light_on_dark else (40, 220)
    lit = np.asarray(draw(digit, ink=ink, paper=paper), np.float32) * ramp(angle, darkest, 200)

    assert digit == classifier.predict_picture(encode(eight_bits(lit), form)).digit


@digits
@pytest.mark.parametrize(
    ("share", "pen", "light_on_dark"),
    [
        (0.2, 0.08, False),
        (0.2, 0.08, True),
        (0.4, 0.05, False),
        (0.7, 0.024, False),
        (0.7, 0.024, True),
        (0.7, 0.16, True),
        (0.9, 0.1, True),
        (0.9, 0.16, False),
    ],
)
def test_clean_drawings_are_read(
    classifier: Classifier,
    digit: int,
    share: float,
    pen: float,
    light_on_dark: bool,  # noqa: FBT001
) -> None:
    """Without noise, digits of any pen and size are read."""
    ink, paper = (220, 40) if light_on_dark else (40, 220)
    drawing = painted(placed(drawn(digit)(round(300 * share), pen), (300, 300)), ink, paper)

    assert digit == classifier.predict_picture(encode(eight_bits(drawing))).digit


@pytest.mark.parametrize(
    ("digit", "share", "pen"),
    [
        pytest.param(1, 0.2, 0.05, id="small and thin"),
        pytest.param(1, 0.4, 0.024, id="hairline"),
        pytest.param(0, 0.7, 0.2, id="thick 0"),
        pytest.param(0, 0.93, 0.2, id="thick 0 that fills the frame"),
        pytest.param(3, 0.93, 0.25, id="thick 3"),
        pytest.param(5, 0.93, 0.25, id="thick 5"),
    ],
)
def test_extreme_strokes_are_read(classifier: Classifier, digit: int, share: float, pen: float) -> None:
    """Strokes as thin or as thick as people draw them are read."""
    drawing = painted(placed(drawn(digit)(round(300 * share), pen), (300, 300)))

    assert digit == classifier.predict_picture(encode(eight_bits(drawing))).digit


@pytest.mark.parametrize("upright", [False, True], ids=["ruled", "squared"])
def test_digits_on_dark_ruled_lines_are_read(classifier: Classifier, upright: bool) -> None:  # noqa: FBT001
    """Of ten digits on paper whose ruled lines have 75 % of the ink's contrast, nine are read."""
    answers = []
    for digit in range(10):
        rng = dice("dark rules", digit)
        rules = lines(rng, spacing=80, width=3, upright=upright)
        answers.append(read(classifier, photo(painted(np.maximum(placed(drawn(digit)(200, PEN)), 0.75 * rules)), rng)))

    assert 9 <= sum(digit == answer for digit, answer in enumerate(answers))


def test_a_ruled_line_through_a_digit_that_fills_its_frame_is_removed(classifier: Classifier) -> None:
    """Beside a digit that fills 28x28 pixels little of a line is visible. It is removed from 25 of thirty digits."""
    widths = []
    for digit, row in itertools.product(range(10), (10, 14, 18)):
        drawing = placed(drawn(digit)(20, PEN), (28, 28))
        ruled = drawing.copy()
        ruled[row] = np.maximum(ruled[row], 0.5)
        seen = [classifier.predict_picture(encode(eight_bits(painted(ink)))).input for ink in (drawing, ruled)]
        widths.append([int(np.sum(pixels.any(axis=0))) for pixels in seen])

    assert 25 <= sum(abs(plain - with_rule) <= 2 for plain, with_rule in widths)


def read(classifier: Classifier, picture: bytes) -> int | None:
    """Return the predicted digit, None where the picture is blank."""
    try:
        return classifier.predict_picture(picture).digit
    except NoInk:
        return None


# The transform from an upright picture to the pixels that a rotated camera stores, by EXIF orientation.
STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("digit", [2, 4, 7])
@pytest.mark.parametrize("orientation", STORED)
def test_pictures_are_read_upright(classifier: Classifier, digit: int, orientation: int) -> None:
    """Whatever the rotation of the camera, the picture is read upright."""
    picture = draw(digit, size=(240, 180))
    transform = STORED[orientation]
    stored = picture if transform is None else picture.transpose(transform)
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation

    assert ImageChops.difference(picture, ImageOps.exif_transpose(with_exif(stored, exif))).getbbox() is None
    assert digit == classifier.predict_picture(encode(stored, "JPEG", exif=exif)).digit


def with_exif(image: Image.Image, exif: Image.Exif) -> Image.Image:
    """Return the picture as it is read from a file with this EXIF."""
    image = image.copy()
    image.getexif().update(exif)
    return image


@pytest.mark.parametrize("digit", [4, 7])
@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}),
        ("JPEG", {"quality": 50}),
        ("MPO", {"save_all": True, "append_images": [draw(3)]}),
        ("WEBP", {}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_format_invariance(classifier: Classifier, digit: int, form: str, options: dict[str, Any]) -> None:
    """Every accepted format gives the same digit."""
    assert digit == classifier.predict_picture(encode(draw(digit), form, **options)).digit


def sixteen_bits(image: Image.Image) -> npt.NDArray[np.uint16]:
    """Return a picture in 16 bits, white = 65,535."""
    return np.asarray(image, np.uint16) * np.uint16(257)


@pytest.mark.parametrize(("digit", "light_on_dark"), [(4, False), (7, True)], ids=["dark on light", "light on dark"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "16 bits", "CMYK"])
def test_mode_invariance(classifier: Classifier, digit: int, mode: str, light_on_dark: bool) -> None:  # noqa: FBT001
    """Grey, colour, palette, 16 bits and CMYK give the same digit."""
    ink, paper = (255, 0) if light_on_dark else (0, 255)
    picture = draw(digit, ink=ink, paper=paper)
    data = encode(sixteen_bits(picture)) if mode == "16 bits" else encode(picture.convert(mode), "TIFF")

    assert digit == classifier.predict_picture(data).digit


# --- Scenes


# In `make quick` each scene has every other digit, half of them the even ones.
@pytest.mark.parametrize(
    ("scene", "digit"),
    [
        pytest.param(scene, digit, marks=[pytest.mark.slow] if (place + digit) % 2 else [])
        for place, scene in enumerate(SCENES)
        for digit in range(10)
    ],
)
def test_scenes_are_read(classifier: Classifier, scene: str, digit: int) -> None:
    """Photos, scans and drawings as people send them are read."""
    picture = SCENES[scene](drawn(digit), dice(scene, digit))

    assert digit == classifier.predict_picture(picture).digit


@pytest.mark.parametrize("scene", SCENES)
def test_real_digits_are_read_in_scenes(classifier: Classifier, real_mnist: Mnist, scene: str) -> None:
    """Of ten training digits in the same scene, at most one is misread."""
    rng = dice(scene)
    chosen = rng.choice(len(real_mnist.train.labels), 10, replace=False)
    answers = [
        classifier.predict_picture(SCENES[scene](magnified(image), rng)).digit
        for image in real_mnist.train.images[chosen]
    ]

    assert 1 >= np.count_nonzero(real_mnist.train.labels[chosen] != answers)


# --- Blank

BLANK_SIDE = 300


def even(grey: float) -> FloatArray:
    """Return a sheet of one grey, 0..255."""
    return np.full((BLANK_SIDE, BLANK_SIDE), grey, np.float32)


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (100, 80), (700, 500)], ids=str)
@pytest.mark.parametrize("grey", [0, 100, 255])
def test_one_colour_is_blank(size: tuple[int, int], grey: int) -> None:
    """A picture of one grey has no ink, whatever its size."""
    with pytest.raises(NoInk, match="blank"):
        normalize(np.full(size, grey, np.uint8))


@pytest.mark.parametrize("strength", [1, 6, 25])
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("grey", [70, 215])
def test_camera_noise_is_blank(classifier: Classifier, grey: int, form: str, strength: float) -> None:
    """An empty sheet is blank, however noisy the camera."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        noisy = eight_bits(even(grey) + rng.normal(0, strength, (BLANK_SIDE, BLANK_SIDE)))
        with pytest.raises(NoInk):
            classifier.predict_picture(encode(noisy, form))


@pytest.mark.parametrize(
    ("grey", "noise", "quality"),
    [(15, 3, 45), (200, 3, 45), (238, 3, 45), (240, 2, 75), (245, 3, 45)],
)
def test_blank_jpegs_are_blank(classifier: Classifier, grey: int, noise: float, quality: int) -> None:
    """A white or black page with a little noise is blank, also with the block artefacts of JPEG."""
    page = photo(even(grey), np.random.default_rng(0), noise=noise, quality=quality)

    with pytest.raises(NoInk):
        classifier.predict_picture(page)


@pytest.mark.parametrize("smoothness", [0.7, 1.5, 3, 6, 12])
@pytest.mark.parametrize("strength", [2, 6])
def test_paper_texture_is_blank(classifier: Classifier, strength: float, smoothness: float) -> None:
    """Fibres and creases of the paper, fine or coarse, are no writing."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        texture = strength * cloud((BLANK_SIDE, BLANK_SIDE), smoothness, rng)
        with pytest.raises(NoInk):
            classifier.predict_picture(photo(even(190) + texture, rng))


@pytest.mark.parametrize(("darkest", "noise"), [(0.3, 0), (0.3, 5), (0.45, 2), (0.8, 0), (0.8, 5)])
def test_slanting_light_is_blank(classifier: Classifier, darkest: float, noise: float) -> None:
    """A sheet that is lit from one side is blank, whatever the side."""
    for angle in range(6):
        lit = even(220) * ramp(angle, darkest, BLANK_SIDE)
        with pytest.raises(NoInk):
            classifier.predict_picture(photo(lit, dice(angle, darkest), noise=noise))


@pytest.mark.parametrize("seed", range(6))
def test_soft_shadows_are_blank(classifier: Classifier, seed: int) -> None:
    """Shadows without an edge are no writing."""
    rng = np.random.default_rng(seed)

    with pytest.raises(NoInk):
        classifier.predict_picture(photo(190 + 15 * cloud((BLANK_SIDE, BLANK_SIDE), 60, rng), rng, noise=2))


@pytest.mark.parametrize("hidden", [(0, 0, 0), (255, 255, 255), (200, 30, 30)], ids=str)
def test_a_transparent_picture_is_blank(classifier: Classifier, hidden: tuple[int, int, int]) -> None:
    """A fully transparent picture has no ink, whatever its hidden colour."""
    with pytest.raises(NoInk):
        classifier.predict_picture(encode(Image.new("RGBA", (200, 200), (*hidden, 0))))


@pytest.mark.parametrize("seed", range(6))
def test_dust_is_blank(classifier: Classifier, seed: int) -> None:
    """A few specks of dust are no digit."""
    rng = np.random.default_rng(seed)
    sheet = even(215)
    for row, column in rng.integers(10, BLANK_SIDE - 10, (5, 2)).tolist():
        sheet[row : row + 3, column : column + 3] = 60

    with pytest.raises(NoInk):
        classifier.predict_picture(photo(sheet, rng))


def test_noise_on_few_pixels_is_blank(classifier: Classifier) -> None:
    """28x28 pixels of noise are blank."""
    for seed in range(20):
        noisy = eight_bits(np.random.default_rng(seed).normal(150, 4, (IMAGE_SIDE, IMAGE_SIDE)))
        with pytest.raises(NoInk):
            classifier.predict_picture(encode(noisy))


# --- Strokes


def stroke_width(pixels: FloatArray, finer: int = 8) -> float:
    """Return the median stroke width: twice the distance transform at its ridges."""
    side = finer * IMAGE_SIDE
    inked = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)) > 0.5
    distances = ndimage.distance_transform_edt(inked)
    ridges = inked & (distances == ndimage.maximum_filter(distances, finer + 1))
    return 2 * float(np.median(distances[ridges])) / finer


@pytest.mark.parametrize("width", [2, 3, 4.5])
@pytest.mark.parametrize("place", [0, 0.3])
def test_stroke_width_is_that_of_a_bar(width: float, place: float) -> None:
    """The helper above returns the width of a bar, to a quarter of a pixel."""
    columns = np.arange(IMAGE_SIDE, dtype=np.float32) - 13.5 - place
    bar = np.zeros((IMAGE_SIDE, IMAGE_SIDE), np.float32)
    bar[4:24] = np.clip(width / 2 + 0.5 - np.abs(columns), 0, 1)

    assert pytest.approx(width, abs=0.3) == stroke_width(bar)


@pytest.mark.parametrize("pen", [0.024, 0.05, 0.1, 0.15, 0.2, 0.25], ids=lambda pen: f"{100 * pen:g} %")
def test_strokes_are_as_wide_as_mnist_s(pen: float) -> None:
    """With ballpoint and marker, strokes become 1.4 to 4.2 pixels wide, as nearly all of MNIST's are."""
    widths = [stroke_width(normalized(placed(drawn(digit)(160, pen), (280, 280))).pixels) for digit in range(10)]

    assert 1.4 <= np.median(widths) <= 4.2
    # Loops that a marker filled are no strokes. Of MNIST's digits one in twenty is thinner or thicker, too.
    assert 1 <= min(widths)
    assert 5 >= max(widths)


def test_mnist_s_strokes_are_as_wide(real_mnist: Mnist) -> None:
    """Nine in ten of MNIST's training digits have strokes of 1.4 to 4.2 pixels."""
    widths = [stroke_width(image.astype(np.float32) / 255) for image in real_mnist.train.images[:100]]

    assert 0.9 < np.mean([1.4 <= width <= 4.2 for width in widths])


@digits
@pytest.mark.parametrize("pen", [0.024, 0.1, 0.2], ids=["thin", "usual", "thick"])
def test_the_result_has_mnist_form(digit: int, pen: float) -> None:
    """The digit fits 20x20 pixels, its centre of mass is the centre, and values are float32 from 0 to about 1."""
    pixels = normalized(placed(drawn(digit)(160, pen), (280, 280))).pixels
    box = bounding_box(eight_bits(pixels > 0.3))

    assert (IMAGE_SIDE, IMAGE_SIDE) == pixels.shape
    assert np.float32 == pixels.dtype
    assert 0 == pixels.min()
    assert 0.6 < pixels.max() <= 1
    assert 18 <= max(box.height, box.width) <= 21
    assert pytest.approx((14, 14), abs=0.75) == ndimage.center_of_mass(pixels)


# --- The report


def assert_box_is_mapped(result: Normalized) -> None:
    """Check that the reported transform maps the ink's box to that of the digit in the frame, to 1.5 pixels."""
    report = result.report
    (down, across), scale = report.frame.shift, report.frame.scale
    top, left, bottom, right = report.ink_box
    corners = (scale * top + down, scale * left + across, scale * bottom + down, scale * right + across)

    assert pytest.approx(bounding_box(eight_bits(result.pixels > 0.3)), abs=1.5) == corners


@digits
@pytest.mark.parametrize(
    ("size", "light_on_dark"), [((280, 280), False), ((150, 250), True), ((60, 50), False), ((60, 50), True)], ids=str
)
def test_the_report_contains_the_place_of_the_digit(digit: int, size: tuple[int, int], light_on_dark: bool) -> None:  # noqa: FBT001
    """Polarity, size, the ink's box and the transform into the frame are those of the picture."""
    coverage = placed(drawn(digit)(round(0.6 * size[0]), PEN), size, (0.3, 0.7))
    ink, paper = (220, 40) if light_on_dark else (40, 220)
    result = normalized(coverage, ink=ink, paper=paper)
    expected = Polarity.LIGHT_ON_DARK if light_on_dark else Polarity.DARK_ON_LIGHT

    assert expected == result.report.polarity
    assert size == result.report.size
    assert pytest.approx(bounding_box(eight_bits(coverage > 0.4)), abs=2) == result.report.ink_box
    assert_box_is_mapped(result)


@digits
@pytest.mark.parametrize("light_on_dark", [False, True], ids=["dark on light", "light on dark"])
def test_the_report_of_a_sheet_is_in_pixels_of_the_picture(digit: int, light_on_dark: bool) -> None:  # noqa: FBT001
    """For a sheet on a table, box and frame refer to the whole picture, and polarity to the sheet."""
    ink, paper, table = (220, 40, 230) if light_on_dark else (40, 220, 30)
    coverage = placed(drawn(digit)(90, PEN), (150, 140))
    greys = np.full((280, 260), table, np.float32)
    greys[40:190, 90:230] = painted(coverage, ink, paper)
    inked = np.zeros((280, 260), np.bool_)
    inked[40:190, 90:230] = coverage > 0.4
    result = normalize(eight_bits(greys))
    expected = Polarity.LIGHT_ON_DARK if light_on_dark else Polarity.DARK_ON_LIGHT

    assert expected == result.report.polarity
    assert (280, 260) == result.report.size
    assert pytest.approx(bounding_box(eight_bits(inked)), abs=2) == result.report.ink_box
    assert_box_is_mapped(result)


def test_a_band_along_a_whole_edge_is_no_digit_on_a_sheet() -> None:
    """Ink that covers a whole edge of a region crosses its boundary."""
    grey = np.zeros((80, 80), np.uint8)
    grey[20:60, 20:60] = 128
    grey[20:36, 20:60] = 255
    result = normalize(grey)

    assert not result.on_region
    assert (20, 20, 36, 60) == result.report.ink_box


@digits
def test_the_report_contains_the_stroke_width(digit: int) -> None:
    """A ballpoint's strokes are dilated, and a marker's eroded."""
    thin = normalized(placed(drawn(digit)(160, 0.03), (280, 280))).report.stroke
    thick = normalized(placed(drawn(digit)(160, 0.22), (280, 280))).report.stroke

    assert thin is not None
    assert thick is not None
    assert 1 > thin.width
    assert 0 < thin.widening
    assert 3.6 < thick.width
    assert 0 > thick.widening


# --- Arbitrary pictures


def assert_valid(grey: ByteArray) -> None:
    """Check that a picture becomes 28x28 pixels from 0 to 1 with a box inside of the picture, or is blank."""
    try:
        result = normalize(grey)
    except NoInk:
        return
    top, left, bottom, right = result.report.ink_box

    assert (IMAGE_SIDE, IMAGE_SIDE) == result.pixels.shape
    assert np.float32 == result.pixels.dtype
    assert 0 <= result.pixels.min() < result.pixels.max() <= 1
    assert 0 <= top < bottom <= grey.shape[0]
    assert 0 <= left < right <= grey.shape[1]


shapes = arrays.array_shapes(min_dims=2, max_dims=2, max_side=70)


@given(arrays.arrays(np.float32, shapes, elements=st.sampled_from([0.0, 0.5, 0.75, 1.0]), fill=st.just(0.5)))
def test_any_drawing_is_normalised_or_blank(grey: FloatArray) -> None:
    """Pixels of a few greys at any place raise no other error than NoInk."""
    assert_valid(eight_bits(255 * grey))


@given(shapes, st.integers(0, 2**32 - 1), st.floats(0, 4))
def test_any_blur_is_normalised_or_blank(shape: tuple[int, int], seed: int, smoothness: float) -> None:
    """Clouds and noise of any size, from black to white, raise no other error than NoInk."""
    clouds = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), smoothness)
    grey = (clouds - clouds.min()) / max(float(np.ptp(clouds)), 1e-9)

    assert_valid(eight_bits(255 * grey))


def strip(shape: tuple[int, int], *pixels: tuple[Any, Any, float]) -> FloatArray:
    """Return a grey picture with other greys in some places."""
    grey = np.full(shape, 0.5, np.float32)
    for row, column, value in pixels:
        grey[row, column] = value
    return grey


@pytest.mark.parametrize(
    "grey",
    [
        strip((200, 6), (100, slice(None), 1), (slice(None), -1, 1)),
        strip((2, 52), (0, 0, 1), (0, 11, 0)),
    ],
    ids=["a cross", "two dots"],
)
def test_strips_are_normalised_or_blank(grey: FloatArray) -> None:
    """Ink without strokes is not eroded until nothing is left."""
    assert_valid(eight_bits(255 * grey))


# --- MNIST form


def test_mnist_form_comes_out_unchanged() -> None:
    """A digit in MNIST form is unchanged, and the report contains the identity transform."""
    grey = np.zeros((IMAGE_SIDE, IMAGE_SIDE), np.uint8)
    grey[4:24, 13:16] = 190
    result = normalize(grey)

    np.testing.assert_array_equal(grey / np.float32(255), result.pixels)
    assert Polarity.LIGHT_ON_DARK == result.report.polarity
    assert (4, 13, 24, 16) == result.report.ink_box
    assert result.report.stroke is None
    assert (1, (0, 0)) == (result.report.frame.scale, result.report.frame.shift)
    assert_box_is_mapped(result)


def test_real_digits_come_out_unchanged(real_mnist: Mnist) -> None:
    """Of a thousand test digits all but two at most are unchanged."""
    digits = real_mnist.test.images[:1000]
    changed = [index for index, grey in enumerate(digits) if normalize(grey).report.stroke is not None]

    assert 2 >= len(changed)
    for index in sorted(set(range(1000)) - set(changed)):
        np.testing.assert_array_equal(digits[index] / np.float32(255), normalize(digits[index]).pixels)
