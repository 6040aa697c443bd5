"""The page at / in a real browser, from the pen to every chapter."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Request, expect
from starlette.types import Receive, Scope, Send

from service.app import create_app
from service.model import artifact
from service.model.artifact import Artifact
from service.model.network import Network
from service.settings import Settings
from service.types import PIXELS
from tests import servers
from tests.conftest import make_metadata, make_network
from tests.pad import write, write_number
from tests.pictures import STROKES, draw, encode
from training import higham
from training.recipes import schedule_settings

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 360, "height": 740}
# Long enough for a machine that is busy with other tests.
PATIENCE = 30_000
SMALLEST_TEXT = 16
SMALLEST_TARGET = 44
# Transfer of a drawing, from the first touch to the last number below, and time from lifting the pen to the answer.
MAX_DRAWING_BYTES = 200_000
NUMBERS = ("42", "17", "30", "85", "96", "58", "71", "60", "123", "2024")
WEB = Path(__file__).parents[1] / "service" / "web"
LECTURE = Path(__file__).parents[1] / "docs" / "lecture.md"

SMALL_TEXT = """(least) => [...document.querySelectorAll("body *")].filter((element) =>
  element.checkVisibility() && [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())
  && parseFloat(getComputedStyle(element).fontSize) < least).map((element) => element.outerHTML)"""
SMALL_TARGETS = """(least) => [...document.querySelectorAll("button, .button, input:not(.unseen), summary")].filter(
  (element) => element.checkVisibility() && element.getBoundingClientRect().height < least
).map((element) => element.outerHTML)"""
DROP = """(base64) => {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  const data = new DataTransfer()
  data.items.add(new File([bytes], "six.png", { type: "image/png" }))
  document.getElementById("paper").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }))
}"""
PASTE = """(base64) => {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  const data = new DataTransfer()
  data.items.add(new File([bytes], "six.png", { type: "image/png" }))
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data }))
}"""
# What the network gets of the drawing on the pad, asked anew.
INPUT_OF_THE_PAD = """async () => {
  const { blackOnWhite, smooth } = await import("./page/js/pad.js")
  const { STROKES, WIDTH } = await import("./page/js/example.js")
  const strokes = STROKES.map((points) => ({ width: WIDTH, points: smooth(points).map(([x, y]) => [x, y, 1]) }))
  const blob = await blackOnWhite(strokes).convertToBlob()
  const response = await fetch("predict?explain=input", { method: "POST", body: blob })
  return (await response.json()).explanation.input
}"""
HIGHAM = """async (parameters) => {
  const { POINTS, TARGETS, cost, backpropagate } = await import("./page/js/higham.js")
  return [POINTS, TARGETS, cost(parameters), POINTS.map((x, k) => backpropagate(parameters, x, TARGETS[k]))]
}"""
# A busy browser draws seldom, and calls an IntersectionObserver after it has drawn.
GO_TO = """async (chapter) => {
  chapter.scrollIntoView({ behavior: "instant" })
  for (let i = 0; i < 3; i += 1) await new Promise(requestAnimationFrame)
  await new Promise((resolve) => { setTimeout(resolve, 0) })
}"""
QUEUE = """async () => {
  const { makeQueue } = await import("./page/js/queue.js")
  const asked = [], done = [], open = []
  const queue = makeQueue({
    answer: (question) => { asked.push(question); return new Promise((resolve) => { open.push(resolve) }) },
    done: (result) => done.push(result), failed: () => {}, later: (call) => call(),
  })
  const settle = () => new Promise((resolve) => { setTimeout(resolve, 0) })
  for (const question of [1, 2, 3]) queue.ask(question)
  open[0]("first")
  await settle()
  queue.ask(4)
  queue.drop()
  open[1]("dropped")
  await settle()
  queue.ask(5)
  await settle()
  open[2]("last")
  await settle()
  return [asked, done]
}"""


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """Return the address of a service with the bundled model."""
    with servers.in_thread(create_app(Settings())) as address:
        yield address


@contextmanager
def visit(browser: Browser, address: str, *, forgiven: str | None = None, **options: Any) -> Iterator[Page]:
    """Open the page; at the end there was no error, but for those of `forgiven`, and nothing was asked of others."""
    expect.set_options(timeout=PATIENCE)
    context = browser.new_context(**{"viewport": DESKTOP, "reduced_motion": "reduce", **options})
    page = context.new_page()
    errors: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    yield page

    assert [] == [error for error in errors if forgiven is None or forgiven not in error]
    assert [] == [url for url in asked if not url.startswith(f"{address}/")]
    context.close()


@pytest.fixture
def page(browser: Browser, service: str) -> Iterator[Page]:
    """Return the page of the bundled model, whose example has been read."""
    with visit(browser, service) as page:
        # What can be copied comes with the last answer of the example.
        expect(page.locator("#snippets pre")).to_have_count(3)
        expect(page.locator("#verdict")).to_have_text("This is a 4")
        yield page


def go_to(page: Page, chapter: str) -> None:
    """Bring a chapter to the top of the screen, and wait until the page has noticed it: what it needs is fetched."""
    page.locator(chapter).evaluate(GO_TO)


def numbers_in(text: str) -> list[float]:
    """Return the numbers in a text, whose minus is a real one."""
    return [
        float(one)
        for one in re.findall(r"-?\d+\.?\d*", text.replace("\u2212 ", "-").replace("\u2212", "-").replace(",", ""))
    ]


def verdict(page: Page) -> Any:
    """Return the verdict in words, to be awaited."""
    return expect(page.locator("#verdict"))


def test_it_opens_with_an_example_that_ends_at_the_first_touch(page: Page, bundled: Artifact) -> None:
    """The first screen shows a worked answer and says that it is an example; a stroke takes its place."""
    expect(page.locator("#badge")).to_be_visible()
    expect(page.locator("#n-parameters")).to_have_text(f"{bundled.network.n_parameters:,}")
    write(page, 7)

    verdict(page).to_have_text("This is a 7")
    expect(page.locator("#badge")).to_be_hidden()


def test_drawn_digits_are_read(page: Page) -> None:
    """Each of ten digits that a pointer draws, one after the other, is the one on the screen."""
    for digit in STROKES:
        page.get_by_role("button", name="Clear").click()
        write(page, digit)

        verdict(page).to_have_text(f"This is {'an' if digit == 8 else 'a'} {digit}")
        expect(page.locator("#numeral")).to_have_text(str(digit))
        expect(page.locator("#bars .best b")).to_have_text(str(digit))


def test_drawn_numbers_are_read(page: Page) -> None:
    """Each of ten numbers that a pointer draws is the one on the screen, each digit with its probability."""
    for text in NUMBERS:
        page.get_by_role("button", name="Clear").click()
        write_number(page, text)

        verdict(page).to_contain_text(re.compile(r"^I see (two|three|four) digits: "))
        expect(page.locator("#numeral")).to_have_text(text)
        assert list(text) == page.locator("#numbers-list b").all_text_contents()
        assert all(text.endswith("%") for text in page.locator("#numbers-list span").all_text_contents())


def test_digits_that_touch_are_a_number(page: Page) -> None:
    """They are one component, which is no digit; what is no number either stays what it is."""
    page.get_by_role("button", name="Clear").click()
    page.locator("#width").fill("8")
    for i, digit in enumerate((5, 8)):
        write(page, digit, (0.1 + 0.235 * i, 0.3, 0.4 + 0.235 * i, 0.75))
    verdict(page).to_have_text("I see two digits: 5 and 8")
    expect(page.locator("#softmax .best th")).to_have_text("5")

    page.locator("#samples button").last.click()

    verdict(page).to_have_text("This does not look like a digit")


def test_a_digit_of_a_number_goes_through_the_explanation(page: Page) -> None:
    """The first one does at once, any other when its box or its button is tapped; a new drawing ends it."""
    page.get_by_role("button", name="Clear").click()
    write_number(page, "42")
    verdict(page).to_have_text("I see two digits: 4 and 2")
    expect(page.locator("#softmax .best th")).to_have_text("4")
    page.locator("#numbers-list button").nth(1).click()

    expect(page.locator("#softmax .best th")).to_have_text("2")
    expect(page.locator("#bars .best b")).to_have_text("2")
    verdict(page).to_have_text("I see two digits: 4 and 2")
    picture = page.locator("#numbers-picture canvas")
    area = picture.bounding_box()
    assert area is not None
    picture.click(position={"x": area["width"] * 0.25, "y": area["height"] * 0.5})
    expect(page.locator("#softmax .best th")).to_have_text("4")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#numbers")).to_be_hidden()


def test_the_answer_is_the_service_s(page: Page) -> None:
    """Logits and activations on the screen are those of the response."""
    with page.expect_response("**/predict?explain=*") as response:
        page.get_by_role("button", name="Scan").click()
    verdict(page).to_have_text("This is a 7")
    explanation = response.value.json()["explanation"]
    lit = [sum(value != 0 for value in layer) for layer in explanation["activations"][:-1]]
    scores = [
        float(text.replace("\u2212 ", "-").replace("\u2212", "-"))
        for text in page.locator("#softmax tbody td:nth-child(2)").all_text_contents()
    ]

    assert pytest.approx(explanation["scores"], abs=0.006) == scores
    assert [f"{n} of" for n in lit] == [
        text[: len(f"{n} of")] for n, text in zip(lit, page.locator(".mosaic .note").all_text_contents(), strict=True)
    ]


def test_what_lies_below_is_fetched_when_it_is_needed(page: Page) -> None:
    """The report is not part of the first load, and no layer but the last is ever sent whole."""
    asked: list[str] = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    with page.expect_request("**/model/report"):
        go_to(page, "#mistakes")
    for chapter in ("#network", "#weights", "#units"):
        go_to(page, chapter)
    expect(page.locator("#graph .answer-node")).to_be_visible()
    later: list[str] = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")

    assert [] == [url for url in asked if "/model/report" in url]
    parts = [url.partition("/model/weights/")[2] for url in later if "?format=" in url]
    whole = {part[0] for part in parts if "units=" not in part and "inputs=" not in part}
    assert {"2"} == whole


def test_a_drawing_is_light(page: Page) -> None:
    """While the pen moves no explanation is asked for; all that a drawing costs, in all chapters, is little."""
    for chapter in ("#network", "#scores", "#why", "#top"):
        go_to(page, chapter)
    expect(page.locator("#stencils li")).to_have_count(10)
    expect(page.locator("#demo")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    sizes: list[int] = []
    explained: list[str] = []

    def finished(request: Request) -> None:
        sizes.extend(int(str(size)) for size in request.sizes().values())
        if "explain" in request.url:
            explained.append(request.url)

    page.on("requestfinished", finished)
    write(page, 5)
    verdict(page).to_have_text("This is a 5")
    go_to(page, "#network")
    expect(page.locator("#graph .answer-node text").first).to_have_text("5")
    go_to(page, "#why")
    expect(page.locator("#stencils .best b")).to_have_text("5")

    # The browser tells that a request is finished some time after the page has shown its answer.
    for _ in range(PATIENCE // 100):
        if len(explained) == 2:
            break
        page.wait_for_timeout(100)
    assert 2 == len(explained)
    assert 1000 < sum(sizes) < MAX_DRAWING_BYTES


def test_undo_takes_back_a_stroke(page: Page) -> None:
    """Without its second stroke a 4 is read anew; without any there is nothing to read."""
    page.get_by_role("button", name="Clear").click()
    write(page, 4)
    verdict(page).to_have_text("This is a 4")
    page.keyboard.press("Control+z")
    verdict(page).not_to_have_text("This is a 4")
    page.get_by_role("button", name="Undo").click()

    verdict(page).to_have_text("Nothing to read yet")


@pytest.mark.parametrize(
    "bring",
    [
        lambda page, picture: page.locator("#file").set_input_files(
            {"name": "six.png", "mimeType": "image/png", "buffer": picture}
        ),
        lambda page, picture: page.evaluate(DROP, base64.b64encode(picture).decode()),
        lambda page, picture: page.evaluate(PASTE, base64.b64encode(picture).decode()),
    ],
    ids=["choose", "drop", "paste"],
)
def test_a_picture_is_read(page: Page, bring: Callable[[Page, bytes], object]) -> None:
    """However it gets to the page, it is sent as it is, shown beside what the network saw, named in the programs."""
    bring(page, encode(draw(6, paper=(220, 210, 190), ink=(30, 30, 60), mode="RGB", size=(300, 240))))

    verdict(page).to_have_text("This is a 6")
    expect(page.locator("#received-note")).to_contain_text("300 \u00d7 240")
    expect(page.locator("#snippets")).to_contain_text("curl -F file=@six.png")


def test_samples_are_read(page: Page) -> None:
    """The pictures that come with the page are read as what they are."""
    for name, expected in (
        ("Phone photo", "This is a 5"),
        ("White on black", "This is a 3"),
        ("A letter", "This does not look like a digit"),
    ):
        page.get_by_role("button", name=name).click()

        verdict(page).to_have_text(expected)


def test_what_is_no_digit_gets_no_digit(page: Page) -> None:
    """A letter shows a question mark; the forced guess is told only to who asks for it."""
    page.get_by_role("button", name="A letter").click()
    expect(page.locator("#numeral")).to_have_text("?")
    page.get_by_role("button", name="Show its forced guess").click()

    verdict(page).to_contain_text("If it must be a digit")


def assert_nothing_is_shown(page: Page) -> None:
    """Check that no chapter shows anything of a picture."""
    assert 0 == page.locator(".live:visible").count()
    assert 0 == page.locator("#numbers:visible, #glance:visible, #ask-why:visible").count()
    assert 0 == page.locator("#graph .node, #stencils li, #softmax tbody tr, #snippets pre, #cost-body *").count()
    assert [] == page.evaluate(
        """() => ["received", "seen", "relevance"].filter((id) => {
          const canvas = document.getElementById(id)
          return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value)
        })"""
    )
    assert all(" active" not in note for note in page.locator(".mosaic .note").all_text_contents())


def test_a_blank_pad_is_not_asked_about(page: Page) -> None:
    """After Clear there is no digit, no bar and no question to the service."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    page.get_by_role("button", name="Clear").click()

    verdict(page).to_have_text("Nothing to read yet")
    expect(page.locator("#numeral")).to_have_text("?")
    assert [""] * 10 == page.locator("#bars .share").all_text_contents()
    assert "POST" not in asked
    assert_nothing_is_shown(page)


def test_a_blank_picture_is_told_apart(browser: Browser, service: str) -> None:
    """The service's own words say that there is no ink."""
    with visit(browser, service, forgiven="422") as page:
        verdict(page).to_have_text("This is a 4")
        blank = encode(draw(6, ink=255))
        page.locator("#file").set_input_files({"name": "blank.png", "mimeType": "image/png", "buffer": blank})

        verdict(page).to_have_text("Nothing to read yet")
        expect(page.locator("#reason")).to_contain_text("blank")
        assert_nothing_is_shown(page)


def test_a_file_that_is_no_picture_leaves_nothing_of_the_last_one(browser: Browser, service: str) -> None:
    """The service's own words say what it accepts, and no chapter shows the picture before."""
    with visit(browser, service, forgiven="415") as page:
        verdict(page).to_have_text("This is a 4")
        page.locator("#file").set_input_files({"name": "text.png", "mimeType": "image/png", "buffer": b"no picture"})

        verdict(page).to_have_text("This cannot be read")
        expect(page.locator("#reason")).to_contain_text("BMP or TIFF")
        assert_nothing_is_shown(page)


def test_the_service_may_be_gone_for_a_while(browser: Browser, service: str) -> None:
    """The page says so, keeps the drawing, counts down, and answers when the service is back."""
    with visit(browser, service, forgiven="ERR_INTERNET_DISCONNECTED") as page:
        verdict(page).to_have_text("This is a 4")
        page.context.set_offline(True)
        write(page, 2)
        expect(page.locator("#trouble")).to_contain_text("The service does not answer. Your drawing is kept.")
        page.context.set_offline(False)
        # The page asks again by itself, and may have done so by now.
        page.locator("#trouble button").evaluate("(button) => button.click()")

        verdict(page).to_have_text("This is a 2")
        expect(page.locator("#trouble")).to_be_hidden()


def test_the_keyboard_is_enough(page: Page) -> None:
    """Arrow keys and Space draw; the answer and a unit are had without a pointer."""
    page.locator("#pad").focus()
    page.keyboard.press(" ")
    for _ in range(14):
        page.keyboard.press("ArrowDown")
    page.keyboard.press(" ")
    verdict(page).to_have_text("This is a 1")
    page.get_by_role("spinbutton").first.focus()
    page.keyboard.type("12")

    expect(page.locator("#unit h3")).to_have_text("Unit 12 of a(1)")
    expect(page.locator("#unit")).to_contain_text("w · a(0)")


def test_a_screen_reader_is_told_the_answer(page: Page) -> None:
    """The status says it when the answer has come to rest."""
    write(page, 3)

    expect(page.get_by_role("status")).to_contain_text("This is a 3. The network gives it")


@pytest.mark.parametrize("layer", [0, 1])
def test_a_unit_shows_its_sum(page: Page, layer: int) -> None:
    """Sum and bias together, cut off at zero, are the activation that the service told."""
    with page.expect_response("**/predict?explain=input*") as response:
        page.get_by_role("button", name="Phone photo").click()
    activations = response.value.json()["explanation"]["activations"][layer]
    verdict(page).to_have_text("This is a 5")
    strongest = activations.index(max(activations))
    page.get_by_role("spinbutton").nth(layer).fill(str(strongest))
    expect(page.locator("#unit .sum")).to_be_visible()
    texts = page.locator("#unit .sum span").evaluate_all("(all) => all.map((one) => one.firstChild.data)")
    total, bias, together, value = (float(text.replace("\u2212 ", "-").replace("\u2212", "-")) for text in texts)

    assert pytest.approx(total + bias, abs=0.011) == together == value
    assert pytest.approx(max(activations), abs=0.006) == value


def test_stencils_give_the_scores(page: Page) -> None:
    """The sum under each stencil is the score in the table, and contributions add up to the answer's."""
    go_to(page, "#why")
    expect(page.locator("#stencils li")).to_have_count(10)
    sums = page.locator("#stencils .score strong").all_text_contents()
    scores = [text.lstrip("+") for text in page.locator("#softmax tbody td:nth-child(2)").all_text_contents()]

    assert scores == sums
    total = scores[4] if scores[4].startswith("\N{MINUS SIGN}") else f"+{scores[4]}"
    expect(page.locator("#contributions .total b")).to_have_text(total)


def test_the_answer_flips_when_its_ink_is_rubbed_out(page: Page) -> None:
    """Against a rival, rubbing out what speaks for the answer turns it; giving the ink back turns it again."""
    go_to(page, "#why")
    page.get_by_role("button", name="Rub out the blue").click()
    expect(page.locator("#duel-told")).to_contain_text("Now it reads")
    page.get_by_role("button", name="Give the ink back").click()

    expect(page.locator("#duel-told")).to_contain_text("It reads 4, ahead of 9")
    expect(page.locator("#lead")).to_be_visible()


def test_an_eraser_asks_again(page: Page) -> None:
    """Rubbing with the pointer removes ink at its place, and the lead changes."""
    go_to(page, "#why")
    duel = page.locator("#duel")
    duel.scroll_into_view_if_needed()
    expect(page.locator("#lead dd")).to_have_count(3)
    before = page.locator("#lead dd").last.text_content()
    box = duel.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.5, steps=8)
    page.mouse.up()

    expect(page.locator("#lead dd").last).not_to_have_text(before or "")


def test_a_rival_can_be_chosen(page: Page) -> None:
    """The question, the ink and the lead are those against the rival."""
    go_to(page, "#why")
    page.get_by_label("7", exact=True).check()

    expect(page.locator("#why-title")).to_have_text("Why 4, and not 7?")
    expect(page.locator("#lead dt").last).to_have_text("lead of 4")


def test_the_report_is_drawn(page: Page) -> None:
    """Losses, errors, confusion, calibration and the misread digits are those of the model."""
    go_to(page, "#mistakes")

    expect(page.locator("#report figure")).to_have_count(3)
    expect(page.locator("#report")).to_contain_text("of 10,000 wrong")
    expect(page.locator("#report .confusion tbody tr")).to_have_count(10)
    wrong = numbers_in(page.locator("#report h3").first.text_content() or "")[0]
    assert wrong == page.locator(".mistakes canvas").count()


def test_the_cliff_in_the_loss_is_explained(page: Page, bundled: Artifact) -> None:
    """The final phase with weaker augmentation begins at the epoch that the model's own settings tell."""
    training = bundled.metadata.training.model_dump()
    schedule = schedule_settings(training["settings"])
    assert schedule is not None
    first = schedule["epochs"] - int(schedule["final_phase"] * schedule["epochs"])

    expect(page.locator("#learned figcaption").first).to_contain_text(f"The cliff at epoch {first + 1} is")
    expect(page.locator("#learned")).to_contain_text(
        f"{100 * schedule['final_strength']:.0f}\u00a0% of the augmentation"
    )
    expect(page.locator("#learned .phase")).to_have_count(2)


def test_units_are_paged_through(page: Page, bundled: Artifact) -> None:
    """The lecture's figure shows all first-layer units, a page at a time, and begins again after the last."""
    go_to(page, "#weights")
    output = page.locator("#gallery .where")
    n = bundled.network.layers[0].n_out
    expect(output).to_have_text(f"units 0 to 31 of {n:,}")
    expect(page.locator("#tiles button")).to_have_count(32)
    expect(page.locator("#weights-lead")).to_contain_text(f"a matrix of shape (784, {n})")
    page.get_by_role("button", name="Next").click()
    expect(output).to_have_text(f"units 32 to 63 of {n:,}")
    for _ in range(2):
        page.get_by_role("button", name="Before").click()

    expect(output).to_have_text(f"units {(n - 1) // 32 * 32} to {n - 1} of {n:,}")


def test_a_key_is_asked_for(browser: Browser, tiny_model: Path) -> None:
    """Where keys are set, the page opens, asks for one, asks again after a wrong one, and sends it from then on."""
    app = create_app(Settings(model=tiny_model, api_keys=("right",)))
    with servers.in_thread(app) as address, visit(browser, address, forgiven="401") as page:
        for key in ("wrong", "right"):
            page.get_by_label("Key", exact=True).fill(key)
            page.get_by_role("button", name="Use it").click()

        expect(page.locator("#served")).to_contain_text("tiny")
        expect(page.locator("#bars li")).to_have_count(10)
        expect(page.locator("#snippets")).to_contain_text("Authorization: Bearer $DIGITS_API_KEY")


@pytest.mark.parametrize(
    ("network", "units", "stencils"),
    [
        (make_network(12, head="logistic", classes=(3, 8)), "12 hidden units", 1),
        (make_network(12, 5, activation="tanh"), "12 and 5 hidden units", 0),
        (make_network(), "No hidden units: this network has no hidden layer", 10),
    ],
    ids=["two classes", "curved", "no hidden layer"],
)
def test_other_networks_are_shown_too(
    browser: Browser, tmp_path: Path, network: Network, units: str, stencils: int
) -> None:
    """Two classes with one logit, curved units and no units at all: each gets an answer, and what it has is shown."""
    model = tmp_path / "model.safetensors"
    artifact.save(model, network, make_metadata(network))
    with servers.in_thread(create_app(Settings(model=model))) as address, visit(browser, address) as page:
        expect(page.locator("#bars .best")).to_have_count(1)
        for chapter in ("#network", "#units", "#scores", "#why", "#mistakes"):
            go_to(page, chapter)

        expect(page.locator("#units-title")).to_have_text(units)
        expect(page.locator("#graph .answer-node, #graph [data-layer='1']").first).to_be_visible()
        expect(page.locator("#softmax tbody tr")).to_have_count(len(network.classes))
        expect(page.locator("#stencils li")).to_have_count(stencils)
        expect(page.locator("#no-stencils")).to_be_visible(visible=not stencils)
        expect(page.locator("#report")).to_contain_text("There is no report on this model.")


def test_two_classes_are_explained_by_the_sigmoid(browser: Browser, tmp_path: Path) -> None:
    """The single logit, its sigmoid and the rest: no softmax is shown where there is none."""
    network = make_network(12, head="logistic", classes=(3, 8))
    model = tmp_path / "model.safetensors"
    artifact.save(model, network, make_metadata(network))
    with servers.in_thread(create_app(Settings(model=model))) as address, visit(browser, address) as page:
        expect(page.locator("#snippets pre")).to_have_count(3)
        with page.expect_response("**/predict?explain=input*") as response:
            page.get_by_role("button", name="Scan").click()
        answer = response.value.json()
        (logit,) = answer["explanation"]["scores"]
        temperature = answer["explanation"]["temperature"]
        p = 1 / (1 + math.exp(-logit / temperature))

        assert pytest.approx(p, abs=1e-6) == answer["probabilities"][1]
        expect(page.locator("#scores-title")).to_have_text("One logit and the sigmoid")
        expect(page.locator("#softmax-formula")).to_contain_text("\u03c3(z / T)")
        expect(page.locator("#softmax-told")).to_contain_text(f"{100 * p:.1f}\u00a0%")
        rows = page.locator("#softmax tbody td:nth-child(2)").all_text_contents()
        assert ["", pytest.approx(logit, abs=0.006)] == [rows[0], numbers_in(rows[1])[0]]


def test_the_network_is_drawn_with_its_strongest_paths(page: Page, bundled: Artifact) -> None:
    """Nodes have the outputs of the answer; numbers of a traced unit are exact, by pointer and by keyboard."""
    go_to(page, "#network")
    expect(page.locator("#graph .node")).to_have_count(8 + 8 + 10)
    assert ["a(0)", "a(1)", "a(2)", "z"] == page.locator("#graph .layer").all_text_contents()
    expect(page.locator("#trace")).to_contain_text("The path that raises the answer most: pixel")
    input_ = np.array(page.evaluate(INPUT_OF_THE_PAD), np.float32).reshape(1, PIXELS)
    first, second, scores = (output[0] for output in bundled.network.feedforward(input_))
    for layer, outputs in ((0, first), (1, second)):
        node = page.locator(f"#graph [data-layer='{layer}']").first
        unit = int(node.get_attribute("data-unit") or "")
        node.click()

        expect(page.locator("#trace h3")).to_have_text(f"Unit {unit} of a({layer + 1})")
        total, bias, z, _, a = numbers_in((page.locator("#trace .equation").text_content() or "").split("+ b")[1])
        assert pytest.approx(float(outputs[unit]), abs=0.006) == z == a
        assert pytest.approx(float(bundled.network.layers[layer].biases[unit]), abs=0.006) == bias
        assert pytest.approx(z, abs=0.011) == total + bias
        assert page.locator("#graph .edge.on").count() > 0
        for text in page.locator("#trace ul").first.locator("li").all_text_contents():
            output, weight, product = numbers_in(text)[-3:]
            assert pytest.approx(output * weight, abs=0.006 + 0.0005 * output + 0.005 * abs(weight)) == product
    page.locator("#graph .node.on").press("ArrowRight")
    expect(page.locator("#trace h3")).to_contain_text("Logit of")
    digit = int(numbers_in(page.locator("#trace h3").text_content() or "")[0])
    total, bias, z = numbers_in((page.locator("#trace .equation").text_content() or "").split("+ b")[1])
    assert pytest.approx(float(scores[digit]), abs=0.006) == z


def test_data_flows_only_for_who_likes_motion(browser: Browser, service: str) -> None:
    """Pulses run along the edges when the pen moves, and not where motion is to be reduced."""
    shown = []
    for motion in ("no-preference", "reduce"):
        with visit(browser, service, reduced_motion=motion) as page:
            verdict(page).to_have_text("This is a 4")
            go_to(page, "#network")
            expect(page.locator("#graph .answer-node")).to_be_visible()
            page.mouse.move(200, 250)
            page.mouse.down()
            page.mouse.move(260, 300, steps=4)
            shown.append(page.locator("#graph .pulse").first.evaluate("(pulse) => getComputedStyle(pulse).display"))
            page.mouse.up()

    assert ["block", "none"] == [shown[0], shown[1]]


def test_the_temperature_changes_the_softmax(page: Page, bundled: Artifact) -> None:
    """The ambiguous sample comes first, at the model's temperature; the slider computes the softmax of its logits."""
    own = bundled.metadata.calibration.temperature
    go_to(page, "#scores")
    expect(page.locator("#temperature-value")).to_have_text(f"{own:.2f}")
    expect(page.locator("#temperature-told")).to_contain_text(f"The model\u2019s own temperature is {own:.2f}")
    logits = np.array([numbers_in(text)[0] for text in page.locator("#demo-rows .logit").all_text_contents()])
    for value in (-0.5, 0.3, 1.0):
        page.locator("#temperature").fill(str(value))
        expect(page.locator("#temperature-value")).to_have_text(f"{10**value:.2f}")
        powers = np.exp((logits - logits.max()) / 10**value)
        largest = numbers_in(page.locator("#demo-rows .best .figure").text_content() or "")[0]

        assert pytest.approx(100 * (powers / powers.sum()).max(), abs=0.6) == largest
    page.get_by_role("button", name="The model\u2019s own temperature").click()
    expect(page.locator("#demo-told")).to_contain_text("This is the temperature of the model.")


def test_the_cost_is_that_of_the_right_class(page: Page) -> None:
    """The log-loss and the first step of backpropagation, for the digit that a person says is right."""
    logits = np.array(
        [numbers_in(text)[0] for text in page.locator("#softmax tbody td:nth-child(2)").all_text_contents()]
    )
    p = np.exp(logits - logits.max())
    p /= p.sum()
    go_to(page, "#cost")
    page.locator("#cost-body select").select_option("7")

    cost = numbers_in(page.locator("#cost-body .equation").first.text_content() or "")[-1]
    delta = [numbers_in(text)[0] for text in page.locator("#cost-body .deltas .figure").all_text_contents()]
    assert pytest.approx(-np.log(p[7]), abs=0.03) == cost
    assert pytest.approx(p - np.eye(10)[7], abs=0.002) == delta


def test_ten_points_are_learned_in_the_page(page: Page) -> None:
    """Gradients are those of training/higham.py, and the steps of a run end with all ten points right."""
    parameters = higham.initial_parameters(np.random.default_rng(2))
    plain = {
        "weights": [weights.tolist() for weights in parameters.weights],
        "biases": [biases.ravel().tolist() for biases in parameters.biases],
    }
    points, targets, cost, gradients = page.evaluate(HIGHAM, plain)
    assert [higham.POINTS.T.tolist(), higham.TARGETS.T.tolist()] == [points, targets]
    assert pytest.approx(higham.cost(parameters)) == cost
    for k, gradient in enumerate(gradients):
        expected = higham.backpropagate(parameters, higham.POINTS[:, [k]], higham.TARGETS[:, [k]])
        for own, other in zip(expected.weights, gradient["weights"], strict=True):
            np.testing.assert_allclose(own, other, atol=1e-12)
        for own, other in zip(expected.biases, gradient["biases"], strict=True):
            np.testing.assert_allclose(own.ravel(), other, atol=1e-12)

    go_to(page, "#points")
    page.get_by_role("button", name="One step").click()
    expect(page.locator("#points-figures dd").first).to_have_text("1")
    expect(page.locator("#points-told")).to_contain_text("Backward: δ[4] = (")
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#points-figures dd").last).to_have_text("10 of 10")


def test_alpha_is_a_slider_over_the_record(page: Page) -> None:
    """Each alpha shows the accuracies and the norm that were recorded."""
    record = json.loads((WEB / "records" / "alpha.json").read_text())
    go_to(page, "#alpha")
    slider = page.locator("#alpha-body input")
    expect(slider).to_be_visible()
    for i, effect in enumerate(record["effects"]):
        slider.fill(str(i))
        norm, training, validation, gap = (
            numbers_in(text)[0] for text in page.locator("#alpha-body dd").all_text_contents()
        )

        expect(page.locator("#alpha-body output")).to_have_text(str(float(f"{effect['alpha']:g}")).removesuffix(".0"))
        assert pytest.approx(effect["weight_norm"], abs=0.051) == norm
        assert pytest.approx(100 * effect["training_accuracy"], abs=0.051) == training
        assert pytest.approx(100 * effect["validation_accuracy"], abs=0.051) == validation
        assert pytest.approx(training - validation, abs=0.11) == gap


def test_the_lecture_has_the_headings_that_the_page_names(page: Page) -> None:
    """Each chapter says where the lecture tells more, by its number and heading."""
    headings = {
        line.removeprefix("## ").replace("`", "") for line in LECTURE.read_text().splitlines() if line[:3] == "## "
    }
    named = [one for text in page.locator(".source").all_text_contents() for one in re.findall("“(.*?)”", text)]

    assert len(named) > 8
    assert [] == [heading for heading in named if " ".join(heading.split()) not in headings]


def test_chapters_can_be_jumped_to(browser: Browser, service: str) -> None:
    """On a phone, too: each link leads to its chapter, and is then marked as the current one."""
    with visit(browser, service, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        verdict(page).to_have_text("This is a 4")
        for name, chapter in (("Softmax", "#scores"), ("Alpha", "#alpha")):
            page.locator("#chapters").get_by_text(name).click()

            expect(page.locator(f"{chapter} h2")).to_be_in_viewport()
            expect(page.locator("#chapters [aria-current]")).to_have_text(name)


def test_another_model_takes_its_place(browser: Browser, tmp_path: Path, bundled: Artifact) -> None:
    """When the next answer comes from another model, the page shows that one's layers and weights."""
    network = make_network(30)
    model = tmp_path / "model.safetensors"
    artifact.save(model, network, make_metadata(network))
    other = create_app(Settings(model=model))
    served = [create_app(Settings())]
    first, second, _ = bundled.network.layers

    async def newest(scope: Scope, receive: Receive, send: Send) -> None:
        await served[-1](scope, receive, send)

    # The report of the one may be asked for when the other has taken its place.
    forgiven = "404"
    with (
        servers.in_thread(other),
        servers.in_thread(newest) as address,
        visit(browser, address, forgiven=forgiven) as page,
    ):
        expect(page.locator("#units-title")).to_have_text(f"{first.n_out:,} and {second.n_out:,} hidden units")
        served.append(other)
        write(page, 7)

        expect(page.locator("#units-title")).to_have_text("30 hidden units")
        expect(page.locator("#served")).to_contain_text("tiny")


def open_everything(page: Page) -> None:
    """Bring every chapter to the screen, until it shows what it has."""
    page.get_by_role("button", name="Clear").click()
    write_number(page, "42")
    verdict(page).to_have_text("I see two digits: 4 and 2")
    for chapter, content in (
        ("#network", "#graph .answer-node"),
        ("#weights", "#tiles button"),
        ("#scores", "#demo-rows li"),
        ("#why", "#stencils li"),
        ("#points", "#points-figures dd"),
        ("#alpha", "#alpha-body dd"),
        ("#mistakes", ".mistakes canvas"),
    ):
        go_to(page, chapter)
        expect(page.locator(content).first).to_be_visible()


@pytest.mark.parametrize(
    "options",
    [{}, {"color_scheme": "dark"}, {"viewport": PHONE, "has_touch": True, "is_mobile": True}],
    ids=["light", "dark", "phone"],
)
def test_nobody_is_kept_out(browser: Browser, service: str, options: dict[str, Any]) -> None:
    """With everything on the screen, axe finds no violation: contrast, names, roles, order."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    with visit(browser, service, **options) as page:
        verdict(page).to_have_text("This is a 4")
        open_everything(page)
        page.get_by_role("spinbutton").first.fill("3")
        expect(page.locator("#unit .sum")).to_be_visible()

        found = axe.run(page).response["violations"]

    assert [] == [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]


def test_a_phone_has_room_for_everything(browser: Browser, service: str) -> None:
    """On 360 pixels nothing goes sideways, text and targets are large enough, pad and answer on the first screen."""
    with visit(browser, service, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        verdict(page).to_have_text("This is a 4")
        open_everything(page)
        page.locator("#graph .node").first.click()
        page.evaluate("scrollTo(0, 0)")
        numeral = page.locator("#numeral").bounding_box()

        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        assert [] == page.evaluate(SMALL_TEXT, SMALLEST_TEXT)
        assert [] == page.evaluate(SMALL_TARGETS, SMALLEST_TARGET)
        assert numeral is not None
        assert numeral["y"] + numeral["height"] < PHONE["height"]


def test_the_example_plays_by_itself(browser: Browser, service: str) -> None:
    """Who likes motion sees it being drawn, and the last answer is that of the whole digit."""
    with visit(browser, service, reduced_motion="no-preference") as page:
        verdict(page).to_have_text("This is a 4")
        expect(page.locator("#snippets pre").first).to_be_visible()


def test_the_newest_question_wins(page: Page) -> None:
    """One is asked at a time, those in between are left out, and what was dropped is not shown."""
    assert [[1, 3, 5], ["first", "last"]] == page.evaluate(QUEUE)


def test_nothing_is_certain(page: Page) -> None:
    """No probability is shown as 100 % or 0 %."""
    script = (
        "async (all) => { const { percent } = await import('./page/js/words.js'); return all.map((x) => percent(x)) }"
    )
    shown = page.evaluate(script, [1, 0.9987, 0.5, 0.0004, 0])

    assert ["> 99.9 %", "99.9 %", "50.0 %", "< 0.1 %", "< 0.1 %"] == [text.replace("\u00a0", " ") for text in shown]


def test_numbers_have_real_signs(page: Page) -> None:
    """A minus is a minus sign, and what rounds to zero has none."""
    script = (
        "async (all) => { const { signed } = await import('./page/js/words.js'); return all.map((x) => signed(x)) }"
    )

    assert ["+1.50", "\u22121.50", "0.00"] == page.evaluate(script, [1.5, -1.5, -0.001])
