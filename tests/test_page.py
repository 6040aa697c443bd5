"""The page at / in a real browser, from the pen to every chapter."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from starlette.types import Receive, Scope, Send

from service.app import create_app
from service.model import artifact
from service.model.artifact import Artifact
from service.model.network import Network
from service.settings import Settings
from tests import servers
from tests.conftest import make_metadata, make_network
from tests.pictures import STROKES, draw, encode

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 360, "height": 740}
# What the pad of strokes leaves free on each side.
MARGIN = 0.22
# Long enough for a machine that is busy with other tests.
PATIENCE = 30_000
SMALLEST_TEXT = 16
SMALLEST_TARGET = 44

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


def write(page: Page, digit: int) -> None:
    """Draw a digit on the pad with the pointer."""
    box = page.locator("#pad").bounding_box()
    assert box is not None
    share = 1 - 2 * MARGIN
    for stroke in STROKES[digit]:
        points = [
            (box["x"] + box["width"] * (MARGIN + share * x), box["y"] + box["height"] * (MARGIN + share * y))
            for x, y in stroke
        ]
        page.mouse.move(*points[0])
        page.mouse.down()
        for x, y in points[1:]:
            page.mouse.move(x, y, steps=2)
        page.mouse.up()


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

        verdict(page).to_have_text(f"This is a {digit}")
        expect(page.locator("#numeral")).to_have_text(str(digit))
        expect(page.locator("#bars .best b")).to_have_text(str(digit))


def test_the_answer_is_the_service_s(page: Page) -> None:
    """Scores and activations on the screen are those of the response."""
    with page.expect_response("**/predict?explain=true") as response:
        page.get_by_role("button", name="Scan").click()
    verdict(page).to_have_text("This is a 7")
    explanation = response.value.json()["explanation"]
    lit = [sum(value != 0 for value in layer) for layer in explanation["activations"][:-1]]
    scores = [
        float(text.replace("\u2212", "-"))
        for text in page.locator("#softmax tbody td:nth-child(2)").all_text_contents()
    ]

    assert pytest.approx(explanation["scores"], abs=0.006) == scores
    assert [f"{n} of" for n in lit] == [
        text[: len(f"{n} of")] for n, text in zip(lit, page.locator(".mosaic .note").all_text_contents(), strict=True)
    ]


def test_what_lies_below_is_fetched_when_it_is_needed(page: Page) -> None:
    """Neither the report nor the large weights are part of the first load; scrolling there brings the report."""
    asked: list[str] = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    with page.expect_request("**/model/report"):
        page.locator("#learned").scroll_into_view_if_needed()

    assert any("/model/weights/2" in url for url in asked)
    assert [] == [url for url in asked if "/model/report" in url or "/model/weights/0" in url]


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


def test_a_blank_pad_is_not_asked_about(page: Page) -> None:
    """After Clear there is no digit, no bar and no question to the service."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    page.get_by_role("button", name="Clear").click()

    verdict(page).to_have_text("Nothing to read yet")
    expect(page.locator("#numeral")).to_have_text("?")
    assert [""] * 10 == page.locator("#bars .share").all_text_contents()
    assert "POST" not in asked


def test_a_blank_picture_is_told_apart(browser: Browser, service: str) -> None:
    """The service's own words say that there is no ink."""
    with visit(browser, service, forgiven="422") as page:
        verdict(page).to_have_text("This is a 4")
        blank = encode(draw(6, ink=255))
        page.locator("#file").set_input_files({"name": "blank.png", "mimeType": "image/png", "buffer": blank})

        verdict(page).to_have_text("Nothing to read yet")
        expect(page.locator("#reason")).to_contain_text("blank")


def test_the_service_may_be_gone_for_a_while(browser: Browser, service: str) -> None:
    """The page says so, keeps the drawing, counts down, and answers when the service is back."""
    with visit(browser, service, forgiven="ERR_INTERNET_DISCONNECTED") as page:
        verdict(page).to_have_text("This is a 4")
        page.context.set_offline(True)
        write(page, 2)
        expect(page.locator("#trouble")).to_contain_text("The service does not answer. Your drawing is kept.")
        page.context.set_offline(False)
        page.get_by_role("button", name="Ask now").click()

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

    expect(page.locator("#unit h3")).to_have_text("Unit 12 of layer 1")
    expect(page.locator("#unit")).to_contain_text("what it finds")


def test_a_screen_reader_is_told_the_answer(page: Page) -> None:
    """The status says it when the answer has come to rest."""
    write(page, 3)

    expect(page.get_by_role("status")).to_contain_text("This is a 3. The network gives it")


@pytest.mark.parametrize("layer", [0, 1])
def test_a_unit_shows_its_sum(page: Page, layer: int) -> None:
    """Sum and bias together, cut off at zero, are the activation that the service told."""
    with page.expect_response("**/predict?explain=true") as response:
        page.get_by_role("button", name="Phone photo").click()
    activations = response.value.json()["explanation"]["activations"][layer]
    verdict(page).to_have_text("This is a 5")
    strongest = activations.index(max(activations))
    page.get_by_role("spinbutton").nth(layer).fill(str(strongest))
    expect(page.locator("#unit .sum")).to_be_visible()
    texts = page.locator("#unit .sum span").evaluate_all("(all) => all.map((one) => one.firstChild.data)")
    total, bias, together, value = (float(text.replace("\u2212", "-")) for text in texts)

    assert pytest.approx(total + bias, abs=0.011) == together == value
    assert pytest.approx(max(activations), abs=0.006) == value


def test_stencils_give_the_scores(page: Page) -> None:
    """The sum under each stencil is the score in the table, and contributions add up to the answer's."""
    page.locator("#why").scroll_into_view_if_needed()
    sums = page.locator("#stencils .score strong").all_text_contents()
    scores = [text.lstrip("+") for text in page.locator("#softmax tbody td:nth-child(2)").all_text_contents()]

    assert scores == sums
    total = scores[4] if scores[4].startswith("\N{MINUS SIGN}") else f"+{scores[4]}"
    expect(page.locator("#contributions .total b")).to_have_text(total)


def test_the_answer_flips_when_its_ink_is_rubbed_out(page: Page) -> None:
    """Against a rival, rubbing out what speaks for the answer turns it; giving the ink back turns it again."""
    page.get_by_role("button", name="Rub out the blue").click()
    expect(page.locator("#duel-told")).to_contain_text("Now it reads")
    page.get_by_role("button", name="Give the ink back").click()

    expect(page.locator("#duel-told")).to_contain_text("It reads 4, ahead of 9")


def test_an_eraser_asks_again(page: Page) -> None:
    """Rubbing with the pointer removes ink at its place, and the lead changes."""
    duel = page.locator("#duel")
    duel.scroll_into_view_if_needed()
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
    page.get_by_label("7", exact=True).check()

    expect(page.locator("#why-title")).to_have_text("Why 4, and not 7?")
    expect(page.locator("#lead dt").last).to_have_text("lead of 4")


def test_the_report_is_drawn(page: Page) -> None:
    """Losses, errors, confusion, calibration and the misread digits are those of the model."""
    page.locator("#learned").scroll_into_view_if_needed()

    expect(page.locator("#learning figure")).to_have_count(5)
    expect(page.locator("#learning")).to_contain_text("of 10,000 wrong")
    expect(page.locator("#learning .confusion tbody tr")).to_have_count(10)


def test_units_are_paged_through(page: Page, bundled: Artifact) -> None:
    """The lecture's figure shows all first-layer units, a page at a time, and begins again after the last."""
    page.get_by_text("All first-layer units as pictures").click()
    output = page.locator("#gallery .where")
    n = bundled.network.layers[0].n_out
    expect(output).to_have_text(f"units 0 to 31 of {n:,}")
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
    ("network", "voters", "stencils"),
    [
        (make_network(12, head="logistic", classes=(3, 8)), "12 voters", 2),
        (make_network(12, 5, activation="tanh"), "12, then 5 voters", 0),
        (make_network(), "No voters: this network has no hidden layer", 10),
    ],
    ids=["two classes", "curved", "no hidden layer"],
)
def test_other_networks_are_shown_too(
    browser: Browser, tmp_path: Path, network: Network, voters: str, stencils: int
) -> None:
    """Two classes with one score, curved units and no units at all: each gets an answer, and what it has is shown."""
    model = tmp_path / "model.safetensors"
    artifact.save(model, network, make_metadata(network))
    with servers.in_thread(create_app(Settings(model=model))) as address, visit(browser, address) as page:
        expect(page.locator("#bars .best")).to_have_count(1)
        for chapter in ("#voters", "#scores", "#why", "#learned"):
            page.locator(chapter).scroll_into_view_if_needed()

        expect(page.locator("#voters-title")).to_have_text(voters)
        expect(page.locator("#softmax tbody tr")).to_have_count(len(network.classes))
        expect(page.locator("#stencils li")).to_have_count(stencils)
        expect(page.locator("#no-stencils")).to_be_visible(visible=not stencils)
        expect(page.locator("#learning")).to_contain_text("There is no report on this model.")


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
        expect(page.locator("#voters-title")).to_have_text(f"{first.n_out:,}, then {second.n_out:,} voters")
        served.append(other)
        write(page, 7)

        expect(page.locator("#voters-title")).to_have_text("30 voters")
        expect(page.locator("#served")).to_contain_text("tiny")


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
        page.locator("#learned").scroll_into_view_if_needed()
        expect(page.locator("#learning figure")).to_have_count(5)
        page.get_by_role("spinbutton").first.fill("3")
        expect(page.locator("#unit .sum")).to_be_visible()

        found = axe.run(page).response["violations"]

    assert [] == [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]


def test_a_phone_has_room_for_everything(browser: Browser, service: str) -> None:
    """On 360 pixels nothing goes sideways, text and targets are large enough, pad and answer on the first screen."""
    with visit(browser, service, viewport=PHONE, has_touch=True, is_mobile=True) as page:
        verdict(page).to_have_text("This is a 4")
        page.locator("#learned").scroll_into_view_if_needed()
        expect(page.locator("#learning figure")).to_have_count(5)
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
