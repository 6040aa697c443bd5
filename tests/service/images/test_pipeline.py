"""Tests of service.images.pipeline as a whole: the answer does not depend on how the picture was made."""

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
# Two colours have contrast from this share of the colour cube's diagonal on.
CONTRAST = 0.35

digits = pytest.mark.parametrize("digit", range(10))
any_digit = st.integers(0, 9)
level = st.integers(0, 255)
colour = st.tuples(level, level, level)
# As many examples as are quick, and the same ones each time: a model is judged here, and a person reads the failures.
examples = settings(max_examples=40, deadline=None, derandomize=True)


def distance(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """Return how far two colours lie apart, as a share of the distance between black and white."""
    return float(np.linalg.norm(np.subtract(one, other)) / (255 * len(one) ** 0.5))


def normalized(coverage: FloatArray, *, ink: float = 40, paper: float = 220) -> Normalized:
    """Return what becomes of a picture of ink on paper."""
    return normalize(eight_bits(painted(coverage, ink, paper)))


# --- Invariances


@examples
@given(digit=any_digit, ink=level, paper=level)
def test_inversion_does_not_matter(classifier: Classifier, digit: int, ink: int, paper: int) -> None:
    """A picture and its negative show the same digit, to the pixel."""
    assume(distance((ink,), (paper,)) >= CONTRAST)
    picture = draw(digit, ink=ink, paper=paper)
    positive = classifier.predict_picture(encode(picture))
    negative = classifier.predict_picture(encode(ImageOps.invert(picture)))

    assert digit == positive.digit == negative.digit
    assert 0.02 > np.abs(positive.input - negative.input).mean()


@examples
@given(digit=any_digit, one=colour, other=colour)
def test_colours_do_not_matter(
    classifier: Classifier, digit: int, one: tuple[int, ...], other: tuple[int, ...]
) -> None:
    """Any two colours with contrast between them show the same digit, whichever of them is the ink."""
    assume(distance(one, other) >= CONTRAST)

    for ink, paper in ((one, other), (other, one)):
        assert digit == classifier.predict_picture(encode(draw(digit, ink=ink, paper=paper, mode="RGB"))).digit


@examples
@given(
    digit=any_digit,
    side=st.integers(28, 40),
    # Even in its logarithm, from 0.5 to 40.
    magnification=st.floats(-1, 5.32).map(lambda power: 2**power),
    resample=st.sampled_from([Image.Resampling.NEAREST, Image.Resampling.BICUBIC]),
    light_on_dark=st.booleans(),
)
def test_scale_does_not_matter(  # noqa: PLR0913, PLR0917 - each is one thing that varies
    classifier: Classifier,
    digit: int,
    side: int,
    magnification: float,
    resample: Image.Resampling,
    light_on_dark: bool,  # noqa: FBT001
) -> None:
    """A small picture magnified up to 1,600 pixels, in blocks or smoothly, or reduced to 14, shows the same digit."""
    ink, paper = (255, 0) if light_on_dark else (0, 255)
    small = draw(digit, size=(side, side), box=(0.2, 0.1, 0.8, 0.9), width=0.1, ink=ink, paper=paper)
    size = round(side * magnification)

    assert digit == classifier.predict_picture(encode(small.resize((size, size), resample))).digit


@examples
@given(digit=any_digit, margins=st.tuples(*[st.integers(0, 200)] * 4), light_on_dark=st.booleans())
def test_padding_does_not_matter(
    classifier: Classifier,
    digit: int,
    margins: tuple[int, int, int, int],
    light_on_dark: bool,  # noqa: FBT001
) -> None:
    """More paper around the digit, on any side, shows the same digit."""
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
def test_place_and_size_do_not_matter(
    classifier: Classifier, digit: int, share: float, across: float, down: float
) -> None:
    """A digit of 20 % to 80 % of the picture's height, anywhere on it, is the same digit."""
    left, top = 0.04 + across * (0.92 - share * 2 / 3), 0.04 + down * (0.92 - share)
    box = (left, top, left + share * 2 / 3, top + share)

    assert digit == classifier.predict_picture(encode(draw(digit, size=(300, 300), box=box, width=0.1 * share))).digit


@examples
@given(digit=any_digit, width=st.integers(60, 600), height=st.integers(60, 600))
def test_oblong_pictures_are_read(classifier: Classifier, digit: int, width: int, height: int) -> None:
    """Pictures of any proportions show the same digit."""
    tall = 0.7 * min(width, height)
    across, down = tall / 3 / width, tall / 2 / height
    box = (0.5 - across, 0.5 - down, 0.5 + across, 0.5 + down)

    assert digit == classifier.predict_picture(encode(draw(digit, size=(width, height), box=box))).digit


@examples
@given(digit=any_digit, ink=colour)
def test_ink_that_lives_in_alpha_may_have_any_colour(
    classifier: Classifier, digit: int, ink: tuple[int, int, int]
) -> None:
    """A drawing on nothing shows its digit, whatever colour it has and whatever colour is hidden behind nothing."""
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
def test_light_from_one_side_does_not_matter(  # noqa: PLR0913, PLR0917 - each is one thing that varies
    classifier: Classifier,
    digit: int,
    angle: float,
    darkest: float,
    light_on_dark: bool,  # noqa: FBT001
    form: str,
) -> None:
    """A picture that gets darker in any direction, to less than half the light, shows the same digit."""
    ink, paper = (220, 40) if light_on_dark else (40, 220)
    lit = np.asarray(draw(digit, ink=ink, paper=paper), np.float32) * ramp(angle, darkest, 200)

    assert digit == classifier.predict_picture(encode(eight_bits(lit), form)).digit


@digits
@pytest.mark.parametrize(
    ("share", "pen"),
    [(0.2, 0.08), (0.4, 0.05), (0.7, 0.024), (0.7, 0.16), (0.9, 0.1), (0.9, 0.16)],
    ids=lambda share: f"{100 * share:g} %",
)
@pytest.mark.parametrize("light_on_dark", [False, True], ids=["dark on light", "light on dark"])
def test_clean_drawings_are_read(
    classifier: Classifier,
    digit: int,
    share: float,
    pen: float,
    light_on_dark: bool,  # noqa: FBT001
) -> None:
    """Without any noise, hairlines and brushes show the digit, in a corner of the picture or filling it."""
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
    """Strokes as thin or as thick as people draw them show the digit."""
    drawing = painted(placed(drawn(digit)(round(300 * share), pen), (300, 300)))

    assert digit == classifier.predict_picture(encode(eight_bits(drawing))).digit


@pytest.mark.parametrize("upright", [False, True], ids=["ruled", "squared"])
def test_dark_rules_do_not_matter(classifier: Classifier, upright: bool) -> None:  # noqa: FBT001
    """Of ten digits on paper whose rules have 75 % of the ink's contrast, as a pencil's on print, nine are read."""
    answers = []
    for digit in range(10):
        rng = dice("dark rules", digit)
        rules = lines(rng, spacing=80, width=3, upright=upright)
        answers.append(read(classifier, photo(painted(np.maximum(placed(drawn(digit)(200, PEN)), 0.75 * rules)), rng)))

    assert 9 <= sum(digit == answer for digit, answer in enumerate(answers))


def test_a_rule_through_a_digit_that_fills_its_frame_goes(classifier: Classifier) -> None:
    """Of a line across 28x28 pixels little is seen beside a digit; of thirty, 25 come out as wide as without it."""
    widths = []
    for digit, row in itertools.product(range(10), (10, 14, 18)):
        drawing = placed(drawn(digit)(20, PEN), (28, 28))
        ruled = drawing.copy()
        ruled[row] = np.maximum(ruled[row], 0.5)
        seen = [classifier.predict_picture(encode(eight_bits(painted(ink)))).input for ink in (drawing, ruled)]
        widths.append([int(np.sum(pixels.any(axis=0))) for pixels in seen])

    assert 25 <= sum(abs(plain - with_rule) <= 2 for plain, with_rule in widths)


def read(classifier: Classifier, picture: bytes) -> int | None:
    """Return the digit that is read, None where no ink is seen."""
    try:
        return classifier.predict_picture(picture).digit
    except NoInk:
        return None


# A camera that is turned stores the picture turned back, and says so.
TURNED_BACK = {
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
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", TURNED_BACK)
def test_pictures_are_seen_upright(classifier: Classifier, digit: int, form: str, orientation: int) -> None:
    """However the camera was held, the picture is read as it was seen."""
    picture = draw(digit, size=(240, 180))
    back = TURNED_BACK[orientation]
    stored = picture if back is None else picture.transpose(back)
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation

    assert ImageChops.difference(picture, ImageOps.exif_transpose(with_exif(stored, exif))).getbbox() is None
    assert digit == classifier.predict_picture(encode(stored, form, exif=exif)).digit


def with_exif(image: Image.Image, exif: Image.Exif) -> Image.Image:
    """Return the picture as it is read from a file with these tags."""
    image = image.copy()
    image.getexif().update(exif)
    return image


@digits
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
def test_the_format_does_not_matter(classifier: Classifier, digit: int, form: str, options: dict[str, Any]) -> None:
    """Every accepted format shows the same digit."""
    assert digit == classifier.predict_picture(encode(draw(digit), form, **options)).digit


def sixteen_bits(image: Image.Image) -> npt.NDArray[np.uint16]:
    """Return a picture with 65,535 for white."""
    return np.asarray(image, np.uint16) * np.uint16(257)


@pytest.mark.parametrize("digit", [2, 4, 7])
@pytest.mark.parametrize("light_on_dark", [False, True], ids=["dark on light", "light on dark"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "16 bits", "CMYK"])
def test_the_mode_does_not_matter(classifier: Classifier, digit: int, mode: str, light_on_dark: bool) -> None:  # noqa: FBT001
    """Grey, colour, palette, 16 bits or printer's colours: it is the same digit."""
    ink, paper = (255, 0) if light_on_dark else (0, 255)
    picture = draw(digit, ink=ink, paper=paper)
    data = encode(sixteen_bits(picture)) if mode == "16 bits" else encode(picture.convert(mode), "TIFF")

    assert digit == classifier.predict_picture(data).digit


# --- Scenes


@digits
@pytest.mark.parametrize("scene", SCENES)
def test_scenes_are_read(classifier: Classifier, scene: str, digit: int) -> None:
    """Photos, scans and drawings as people send them show their digit."""
    picture = SCENES[scene](drawn(digit), dice(scene, digit))

    assert digit == classifier.predict_picture(picture).digit


@pytest.mark.parametrize("scene", SCENES)
def test_real_digits_are_read_in_scenes(classifier: Classifier, real_mnist: Mnist, scene: str) -> None:
    """Of ten training digits, magnified and seen in the same scene, at most one is misread."""
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
@pytest.mark.parametrize("grey", [0, 1, 100, 254, 255])
def test_one_colour_is_blank(size: tuple[int, int], grey: int) -> None:
    """A picture of one grey has no ink, whatever its size."""
    with pytest.raises(NoInk, match="blank"):
        normalize(np.full(size, grey, np.uint8))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("strength", [1, 3, 6, 12, 25])
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("grey", [70, 140, 215])
def test_camera_noise_is_blank(classifier: Classifier, grey: int, form: str, strength: float, seed: int) -> None:
    """A sheet with nothing on it is blank, however noisy the camera."""
    rng = np.random.default_rng(seed)
    noisy = eight_bits(even(grey) + rng.normal(0, strength, (BLANK_SIDE, BLANK_SIDE)))

    with pytest.raises(NoInk):
        classifier.predict_picture(encode(noisy, form))


@pytest.mark.parametrize(
    ("grey", "noise", "quality"),
    [(15, 3, 45), (200, 3, 45), (238, 3, 45), (240, 2, 75), (245, 3, 45)],
)
def test_blank_jpegs_are_blank(classifier: Classifier, grey: int, noise: float, quality: int) -> None:
    """A white or black page with a little noise is blank, also where a JPEG has made blocks of it."""
    page = photo(even(grey), np.random.default_rng(0), noise=noise, quality=quality)

    with pytest.raises(NoInk):
        classifier.predict_picture(page)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("smoothness", [0.7, 1.5, 3, 6, 12])
@pytest.mark.parametrize("strength", [2, 6])
def test_paper_texture_is_blank(classifier: Classifier, strength: float, smoothness: float, seed: int) -> None:
    """Fibres and creases of the paper, fine or coarse, are no writing."""
    rng = np.random.default_rng(seed)

    with pytest.raises(NoInk):
        classifier.predict_picture(photo(even(190) + strength * cloud((BLANK_SIDE, BLANK_SIDE), smoothness, rng), rng))


@pytest.mark.parametrize("angle", range(6))
@pytest.mark.parametrize("darkest", [0.3, 0.45, 0.8])
@pytest.mark.parametrize("noise", [0, 2, 5])
def test_slanting_light_is_blank(classifier: Classifier, angle: float, darkest: float, noise: float) -> None:
    """A sheet that is lit from one side is blank."""
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
def test_nothing_is_blank(classifier: Classifier, hidden: tuple[int, int, int]) -> None:
    """A picture that is transparent all over has no ink, whatever colour it hides."""
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
    """28x28 pixels of noise are blank, too."""
    for seed in range(20):
        noisy = eight_bits(np.random.default_rng(seed).normal(150, 4, (IMAGE_SIDE, IMAGE_SIDE)))
        with pytest.raises(NoInk):
            classifier.predict_picture(encode(noisy))


# --- Strokes


def stroke_width(pixels: FloatArray, finer: int = 8) -> float:
    """Return the median width of strokes: twice the distance from their ridges to the paper."""
    side = finer * IMAGE_SIDE
    inked = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)) > 0.5
    distances = ndimage.distance_transform_edt(inked)
    ridges = inked & (distances == ndimage.maximum_filter(distances, finer + 1))
    return 2 * float(np.median(distances[ridges])) / finer


@pytest.mark.parametrize("width", [2, 3, 4.5])
@pytest.mark.parametrize("place", [0, 0.3])
def test_the_measure_of_strokes_measures_them(width: float, place: float) -> None:
    """A bar is found as wide as it is, to a quarter of a pixel."""
    columns = np.arange(IMAGE_SIDE, dtype=np.float32) - 13.5 - place
    bar = np.zeros((IMAGE_SIDE, IMAGE_SIDE), np.float32)
    bar[4:24] = np.clip(width / 2 + 0.5 - np.abs(columns), 0, 1)

    assert pytest.approx(width, abs=0.3) == stroke_width(bar)


@pytest.mark.parametrize("pen", [0.024, 0.05, 0.1, 0.15, 0.2, 0.25], ids=lambda pen: f"{100 * pen:g} %")
def test_strokes_come_out_as_wide_as_mnist_s(pen: float) -> None:
    """Ballpoint and marker alike: strokes become what nearly all of MNIST's are, 1.4 to 4.2 pixels wide."""
    widths = [stroke_width(normalized(placed(drawn(digit)(160, pen), (280, 280))).pixels) for digit in range(10)]

    assert 1.4 <= np.median(widths) <= 4.2
    # Loops that a marker has filled are no strokes, and one in twenty of MNIST's digits is thinner or thicker as well.
    assert 1 <= min(widths)
    assert 5 >= max(widths)


def test_mnist_s_strokes_are_as_wide(real_mnist: Mnist) -> None:
    """Nine in ten of MNIST's training digits have strokes of that width."""
    widths = [stroke_width(image.astype(np.float32) / 255) for image in real_mnist.train.images[:1000]]

    assert 0.9 < np.mean([1.4 <= width <= 4.2 for width in widths])


@digits
@pytest.mark.parametrize("pen", [0.024, 0.1, 0.2], ids=["thin", "usual", "thick"])
def test_the_result_has_mnist_form(digit: int, pen: float) -> None:
    """The digit lies within 20x20 pixels around its centre of mass, in float32 from 0 to 1, and full ink is full."""
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
    """Check that the corners of the ink's box lie where those of the digit in the frame do, to a pixel and a half."""
    report = result.report
    (down, across), scale = report.frame.shift, report.frame.scale
    top, left, bottom, right = report.ink_box
    corners = (scale * top + down, scale * left + across, scale * bottom + down, scale * right + across)

    assert pytest.approx(bounding_box(eight_bits(result.pixels > 0.3)), abs=1.5) == corners


@digits
@pytest.mark.parametrize("light_on_dark", [False, True], ids=["dark on light", "light on dark"])
@pytest.mark.parametrize("size", [(280, 280), (150, 250), (60, 50)], ids=str)
def test_the_report_says_where_the_digit_was(digit: int, size: tuple[int, int], light_on_dark: bool) -> None:  # noqa: FBT001
    """Polarity, size, the ink's box and the way from there to the frame are those of the picture."""
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
def test_on_a_sheet_the_report_counts_from_the_picture_s_corner(digit: int, light_on_dark: bool) -> None:  # noqa: FBT001
    """Where the sheet lies on a table, box and frame refer to the whole picture, and polarity to the sheet."""
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


@digits
def test_the_report_says_what_was_done_to_strokes(digit: int) -> None:
    """A ballpoint's strokes are widened, a marker's thinned."""
    thin = normalized(placed(drawn(digit)(160, 0.03), (280, 280))).report.stroke
    thick = normalized(placed(drawn(digit)(160, 0.22), (280, 280))).report.stroke

    assert thin is not None
    assert thick is not None
    assert 1 > thin.width
    assert 0 < thin.widening
    assert 3.6 < thick.width
    assert 0 > thick.widening


# --- Anything at all


def assert_sound(grey: ByteArray) -> None:
    """Check that a picture becomes 28x28 pixels from 0 to 1 with ink in its box, or is found to be blank."""
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


@settings(max_examples=300, deadline=None, derandomize=True)
@given(arrays.arrays(np.float32, shapes, elements=st.sampled_from([0.0, 0.5, 0.75, 1.0]), fill=st.just(0.5)))
def test_any_drawing_is_normalised_or_blank(grey: FloatArray) -> None:
    """Pixels of a few greys, wherever they are, never make it fail."""
    assert_sound(eight_bits(255 * grey))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(shapes, st.integers(0, 2**32 - 1), st.floats(0, 4))
def test_any_blur_is_normalised_or_blank(shape: tuple[int, int], seed: int, smoothness: float) -> None:
    """Clouds and noise of any size, from black to white, never make it fail."""
    clouds = ndimage.gaussian_filter(np.random.default_rng(seed).random(shape), smoothness)
    grey = (clouds - clouds.min()) / max(float(np.ptp(clouds)), 1e-9)

    assert_sound(eight_bits(255 * grey))


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
    """What is hardly a picture is not thinned until nothing is left."""
    assert_sound(eight_bits(255 * grey))


# --- MNIST form


def test_mnist_form_comes_out_unchanged() -> None:
    """A digit that is as MNIST's are is not touched, and the report says that nothing moved."""
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
    """A thousand test digits are the same as before."""
    digits = real_mnist.test.images[:1000]
    changed = [index for index, grey in enumerate(digits) if normalize(grey).report.stroke is not None]

    assert 2 >= len(changed)
    for index in sorted(set(range(1000)) - set(changed)):
        np.testing.assert_array_equal(digits[index] / np.float32(255), normalize(digits[index]).pixels)
