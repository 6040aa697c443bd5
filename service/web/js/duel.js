// Why this digit and not that one: the ink that speaks for the answer, and what happens when it is rubbed out.
//
// The 28 x 28 numbers are asked about as they are, so that nothing is centred anew. Other ink makes other units active, and
// that gives other effective weights. These are large, so that they are asked for when the eraser rests, and only the logits
// while it moves.

import { colours, css, limitOf, sharpen, smoothed } from "./colour.js"
import { byId, html } from "./element.js"
import { makeQueue } from "./queue.js"
import { descending } from "./ranks.js"
import { LINEAR_FIELDS, makeLinear, makeReading } from "./reading.js"
import { decimal, percent, signed } from "./words.js"

const SIDE = 28
const FULL = 255
const RUBBER = 1.3
// So many numbers are rubbed out at once, so often at most; so often the effective weights are asked for anew.
const AT_ONCE = 4
const MOST_STEPS = 80
const RENEWED = 12
const PAUSE = 90

/** How much the ink of each place lifts one class above another. */
function difference(reading, one, other) {
  return reading.input.map((ink, i) => ink * (reading.stencils[one][i] - reading.stencils[other][i]))
}

/** The places whose ink has to go, in the order of `shades`, until the lead is gone; none where that cannot be. */
function decisive(values, shades, lead) {
  const places = descending(shades).filter((i) => shades[i] > 0)
  let left = lead
  for (let n = 0; n < places.length; n += 1) {
    left -= values[places[n]]
    if (left < 0) return places.slice(0, n + 1)
  }
  return []
}

/** The runner-up: the class with the next largest logit. */
export function runnerUp(reading) {
  return descending(reading.scores).find((i) => i !== reading.index)
}

/** The question that the chapter answers. */
export function whyTitle(reading, rival = runnerUp(reading)) {
  return `Why ${reading.classes[reading.index]}, and not ${reading.classes[rival]}?`
}

/** Returns { show(reading), clear(), repaint() }, for readings with effective weights. */
export function makeDuel(client) {
  const canvas = byId("duel")
  let original = null
  let now = null
  let pixels = null
  let rival = null
  let wanted = null
  let rubbing = 0
  let waiting = null

  const queue = makeQueue({
    apart: 30,
    answer: ({ asked, exact }) =>
      client.predictPixels(
        Array.from({ length: SIDE }, (_, row) => asked.slice(SIDE * row, SIDE * row + SIDE)),
        exact ? ["scores", ...LINEAR_FIELDS] : ["scores"],
      ),
    done(answer, { asked, exact }) {
      const linear = exact ? makeLinear(answer.explanation, original.single) : null
      now = {
        stencils: now.stencils,
        offsets: now.offsets,
        ...makeReading(answer, 0),
        input: asked.map((value) => value / FULL),
        ...linear,
        exact,
      }
      render()
      waiting?.()
    },
    failed(error) {
      byId("duel-told").textContent =
        error.code === "no-ink" ? "Nothing is left to read. Give the ink back." : error.message
      rubbing += 1
      waiting?.()
    },
  })

  const lead = () => now.scores[original.index] - now.scores[rival]
  const flipped = () => now.index !== original.index

  function paint() {
    if (!now) return
    const side = canvas.clientWidth
    if (!side) return
    const context = sharpen(canvas, side, side)
    const cell = side / SIDE
    const values = difference(now, original.index, rival)
    const shades = smoothed(values)
    const limit = 0.8 * limitOf(shades)
    const { panel, plus, minus, ink } = colours()
    context.fillStyle = css(panel)
    context.fillRect(0, 0, side, side)
    context.textAlign = "center"
    context.textBaseline = "middle"
    context.font = `${cell * 0.9}px sans-serif`
    for (let i = 0; i < values.length; i += 1) {
      const gone = original.input[i] * FULL - pixels[i] > 1
      const [x, y] = [(i % SIDE) * cell, Math.floor(i / SIDE) * cell]
      if (gone) {
        context.fillStyle = css(ink, 0.05 + 0.06 * original.input[i])
        context.fillRect(x, y, cell - 0.5, cell - 0.5)
      }
      if (now.input[i] === 0) continue
      context.fillStyle = css(ink, 0.16 * now.input[i])
      context.fillRect(x, y, cell - 0.5, cell - 0.5)
      const strength = Math.min(1, Math.abs(shades[i]) / limit)
      context.fillStyle = css(shades[i] < 0 ? minus : plus, Math.max(0.12, strength) * Math.min(1, 0.3 + now.input[i]))
      context.fillRect(x, y, cell - 0.5, cell - 0.5)
      if (strength > 0.3) {
        context.fillStyle = css(panel, 0.95)
        context.fillText(shades[i] < 0 ? "\u2212" : "+", x + cell / 2, y + cell / 2)
      }
    }
    ring(context, cell, flipped() ? [] : decisive(values, shades, lead()))
  }

  /** A line around these places: the ink that decides. */
  function ring(context, cell, places) {
    const inside = new Set(places)
    context.strokeStyle = css(colours().ink)
    context.lineWidth = 2
    context.beginPath()
    for (const i of inside) {
      const [x, y] = [(i % SIDE) * cell, Math.floor(i / SIDE) * cell]
      if (!inside.has(i - SIDE)) {
        context.moveTo(x, y)
        context.lineTo(x + cell, y)
      }
      if (!inside.has(i + SIDE)) {
        context.moveTo(x, y + cell)
        context.lineTo(x + cell, y + cell)
      }
      if (!inside.has(i - 1)) {
        context.moveTo(x, y)
        context.lineTo(x, y + cell)
      }
      if (!inside.has(i + 1)) {
        context.moveTo(x + cell, y)
        context.lineTo(x + cell, y + cell)
      }
    }
    context.stroke()
  }

  function tell() {
    const [one, other] = [original.classes[original.index], original.classes[rival]]
    const ink = difference(now, original.index, rival).reduce((sum, value) => sum + value, 0)
    const offsets = now.offsets[original.index] - now.offsets[rival]
    byId("why-title").textContent = whyTitle(original, rival)
    const said = now.classes[now.index]
    byId("duel-told").replaceChildren(
      flipped()
        ? html("strong", {}, `Now it reads ${said}, with ${percent(now.answer.confidence)}.`)
        : html("strong", {}, `It reads ${said}, ahead of ${other}: its logit is larger by ${decimal(lead())}.`),
    )
    // Between two questions about effective weights these belong to other ink: the sum would not be exact.
    byId("lead").hidden = !now.exact
    byId("lead").replaceChildren(
      html("dt", {}, `ink: ${one} minus ${other}`),
      html("dd", {}, signed(ink)),
      html("dt", {}, "biases"),
      html("dd", {}, signed(offsets)),
      html("dt", { class: "total" }, `lead of ${one}`),
      html("dd", { class: "total" }, signed(ink + offsets)),
    )
    byId("rub").disabled = flipped()
    canvas.setAttribute("aria-label", `Ink for ${one} and against it, compared with ${other}`)
  }

  function render() {
    paint()
    tell()
  }

  function choose(i) {
    rival = i
    wanted = i
    rubbing += 1
    render()
  }

  function offer() {
    const choices = [...original.classes.keys()].filter((i) => i !== original.index)
    byId("rivals").replaceChildren(
      ...choices.map((i) =>
        html(
          "label",
          {},
          html("input", { type: "radio", name: "rival", value: i, checked: i === rival, onchange: () => choose(i) }),
          html("span", {}, String(original.classes[i])),
        ),
      ),
    )
  }

  function restore() {
    rubbing += 1
    queue.drop()
    pixels = original.input.map((ink) => Math.round(FULL * ink))
    now = { ...original, exact: true }
    render()
  }

  /** Erases around a place given in cells. */
  function erase(column, row) {
    let changed = false
    for (let i = 0; i < pixels.length; i += 1) {
      if (pixels[i] && Math.hypot((i % SIDE) + 0.5 - column, Math.floor(i / SIDE) + 0.5 - row) < RUBBER) {
        pixels[i] = 0
        changed = true
      }
    }
    if (changed) queue.ask({ asked: [...pixels], exact: false })
  }

  function rubAt(event) {
    const box = canvas.getBoundingClientRect()
    erase((SIDE * (event.clientX - box.left)) / box.width, (SIDE * (event.clientY - box.top)) / box.height)
  }

  /** Rubs out the strongest ink, a little at a time, until the answer flips. */
  async function rubOut() {
    rubbing += 1
    const mine = rubbing
    for (let step = 0; step < MOST_STEPS && mine === rubbing && now && !flipped(); step += 1) {
      const shades = smoothed(difference(now, original.index, rival))
      const places = descending(shades)
        .filter((i) => pixels[i] > 0 && shades[i] > 0)
        .slice(0, AT_ONCE)
      if (places.length === 0) break
      for (const i of places) pixels[i] = 0
      const answered = new Promise((resolve) => {
        waiting = resolve
      })
      queue.ask({ asked: [...pixels], exact: step % RENEWED === RENEWED - 1 }, true)
      await answered
      await new Promise((resolve) => {
        setTimeout(resolve, PAUSE)
      })
    }
    if (mine === rubbing && !now.exact) queue.ask({ asked: [...pixels], exact: true }, true)
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || !now) return
    rubbing += 1
    canvas.setPointerCapture(event.pointerId)
    rubAt(event)
  })
  canvas.addEventListener("pointermove", (event) => {
    if (now && canvas.hasPointerCapture(event.pointerId)) rubAt(event)
  })
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => {
      if (now && pixels.some((value, i) => Math.abs(value - FULL * original.input[i]) > 1))
        queue.ask({ asked: [...pixels], exact: true }, true)
    })
  }
  byId("rub").addEventListener("click", rubOut)
  byId("restore").addEventListener("click", restore)
  new ResizeObserver(paint).observe(canvas)

  return {
    repaint: paint,
    clear() {
      rubbing += 1
      queue.drop()
      original = null
      now = null
      byId("lead").replaceChildren()
      byId("duel-told").replaceChildren()
    },
    show(reading) {
      // The rival that a person chose stays, as long as the answer does.
      if (original?.index !== reading.index) wanted = null
      original = reading
      rival = wanted ?? runnerUp(reading)
      offer()
      restore()
    },
  }
}
