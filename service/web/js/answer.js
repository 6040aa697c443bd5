// The answer: the digit, its probability, all others as bars, and the verdict in words.

import { byId, html } from "./element.js"
import { digitsOf } from "./numbers.js"
import { facts, numberWords, percent, verdict } from "./words.js"

// A screen reader is told when the answer has been calm for so long.
const CALM = 700

/** Returns { show, wait, blank, clear, trouble, well }. */
export function makeAnswer() {
  const panel = byId("answer")
  const force = byId("force")
  const bars = byId("bars")
  const glance = byId("glance")
  let shown = null
  let forced = false
  let speaking = null

  function say(text) {
    clearTimeout(speaking)
    speaking = setTimeout(() => {
      byId("status").textContent = text
    }, CALM)
  }

  function word({ title, reason, numeral }, small = "") {
    byId("verdict").textContent = title
    byId("reason").textContent = reason
    byId("facts").textContent = small
    byId("numeral").textContent = numeral
    byId("numeral").classList.toggle("two", numeral.length > 1 && numeral.length < 4)
    byId("numeral").classList.toggle("many", numeral.length >= 4)
    say(`${title}. ${reason}`)
  }

  function drawBars(classes, shares) {
    if (bars.children.length !== classes.length) {
      bars.replaceChildren(
        ...classes.map((digit) =>
          html(
            "li",
            {},
            html("span", { class: "share" }),
            html("span", { class: "bar" }),
            html("b", {}, String(digit)),
          ),
        ),
      )
    }
    const best = Math.max(...shares)
    shares.forEach((share, i) => {
      const bar = bars.children[i]
      bar.style.setProperty("--share", share)
      bar.classList.toggle("best", share === best && share > 0)
      bar.firstChild.textContent = share === 0 ? "" : percent(share)
    })
  }

  function render() {
    const { reading } = shown
    const { found } = shown
    const state = reading.answer.verdict
    const words = found ? numberWords(found) : verdict(reading.answer, forced)
    panel.dataset.state = found ? "clear" : state
    word(words, facts(reading.answer, reading.milliseconds))
    panel.querySelector(".bars-title").textContent = found ? `Probabilities of digit ${shown.chosen + 1} of ${digitsOf(found).length}` : ""
    force.hidden = Boolean(found) || state !== "not_a_digit" || forced
    const probabilities = found ? digitsOf(found)[shown.chosen].probabilities : reading.answer.probabilities
    drawBars(reading.classes, probabilities)
    glance.querySelector("strong").textContent = words.numeral
    glance.querySelector("span").textContent =
      state === "clear" && !found ? percent(reading.answer.confidence) : words.title
    const context = glance.querySelector("canvas").getContext("2d")
    if (reading.isExplained) context.drawImage(byId("seen"), 0, 0, 56, 56)
  }

  force.addEventListener("click", () => {
    forced = true
    render()
    byId("verdict").focus()
  })

  // Where the answer cannot be seen, a glance at it stays.
  new IntersectionObserver(
    (entries) => {
      glance.hidden = entries.at(-1).isIntersecting || !shown
    },
    { threshold: 0.1 },
  ).observe(panel)

  return {
    /** Shows a reading; of a number, `found`, the digit that is chosen. */
    show(reading, { found = null, chosen = 0 } = {}) {
      shown = { reading, found, chosen, at: new Date() }
      forced = false
      panel.classList.remove("waiting", "old")
      render()
    },
    /** The drawing has changed, the answer is not its own any more. */
    wait() {
      panel.classList.add("waiting")
    },
    /** There is nothing to read. `classes` get empty bars. */
    blank(classes, { title, reason }) {
      shown = null
      panel.dataset.state = "blank"
      panel.classList.remove("waiting", "old")
      force.hidden = true
      byId("ask-why").hidden = true
      glance.hidden = true
      panel.querySelector(".bars-title").textContent = ""
      word({ title, reason, numeral: "?" })
      drawBars(
        classes,
        classes.map(() => 0),
      )
    },
    /** The service is gone: the last answer stays, dimmed and dated. */
    dim() {
      panel.classList.add("old")
      panel.classList.remove("waiting")
      if (shown) byId("facts").textContent = `Last answer, of ${shown.at.toLocaleTimeString()}`
    },
  }
}
