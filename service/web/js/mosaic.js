// The units of one layer as tiles that keep their places: the more a tile stands out from the page, the more active.

import { colours, css, percentile, plainColour, sharpen, signedColour } from "./colour.js"
import { html } from "./element.js"
import { decimal } from "./words.js"

const RIPPLE = 420
const COLUMNS = 32

/** Returns an element with the mosaic of a layer, and { show, repaint, pick }. `picked(unit)` is called for a tile. */
export function makeMosaic({ name, units, picked }) {
  const columns = Math.min(COLUMNS, units)
  const rows = Math.ceil(units / columns)
  const canvas = html("canvas", { role: "img", "aria-label": `${name}: ${units} units` })
  const note = html("span", { class: "note quiet" })
  const choice = html("input", {
    type: "number",
    min: 0,
    max: units - 1,
    inputmode: "numeric",
    "aria-label": `Unit of ${name.toLowerCase()}`,
  })
  const figure = html(
    "figure",
    { class: "mosaic" },
    html("figcaption", {}, html("b", {}, name), " ", note, html("label", {}, "Unit ", choice)),
    canvas,
  )
  let values = new Array(units).fill(0)
  let before = values
  let started = 0
  let chosen = null
  let hovered = null
  let frame = null

  function repaint(now = performance.now()) {
    const width = canvas.clientWidth
    if (!width) return
    const cell = width / columns
    const context = sharpen(canvas, width, cell * rows)
    const limit = percentile(values)
    const gap = cell > 6 ? 1 : 0.5
    // Most active units are so faintly: the root shows them.
    const colour = values.some((value) => value < 0)
      ? signedColour
      : (value) => plainColour(Math.sqrt(Math.max(0, value) / limit))
    let moving = false
    for (let unit = 0; unit < units; unit += 1) {
      const [x, y] = [unit % columns, Math.floor(unit / columns)]
      // The wave runs from the upper left.
      const age = (now - started) / RIPPLE - 0.6 * ((x / columns + y / rows) / 2)
      const share = Math.min(1, Math.max(0, age / 0.4))
      if (share < 1) moving = true
      const value = before[unit] + (values[unit] - before[unit]) * share
      context.fillStyle = css(colour(value, limit))
      context.fillRect(x * cell, y * cell, cell - gap, cell - gap)
    }
    context.lineWidth = 2
    for (const [unit, ink] of [
      [hovered, colours().quiet],
      [chosen, colours().ink],
    ]) {
      if (unit === null) continue
      context.strokeStyle = css(ink)
      context.strokeRect((unit % columns) * cell - 1.5, Math.floor(unit / columns) * cell - 1.5, cell + 2, cell + 2)
    }
    if (moving) frame = requestAnimationFrame(repaint)
  }

  function refresh() {
    cancelAnimationFrame(frame)
    repaint()
  }

  /** Marks a unit. One that nobody has chosen is not written where somebody may be typing. */
  function pick(unit, isExample = false) {
    chosen = unit
    if (unit !== null && !isExample) choice.value = unit
    refresh()
  }

  function unitAt(event) {
    const box = canvas.getBoundingClientRect()
    const cell = box.width / columns
    const unit = columns * Math.floor((event.clientY - box.top) / cell) + Math.floor((event.clientX - box.left) / cell)
    return unit >= 0 && unit < units ? unit : null
  }

  function count() {
    const on = values.filter((value) => value !== 0).length
    note.textContent =
      on === 0
        ? `${units.toLocaleString("en")} units`
        : `${on.toLocaleString("en")} of ${units.toLocaleString("en")} active`
  }

  canvas.addEventListener("pointermove", (event) => {
    const unit = unitAt(event)
    if (unit === hovered) return
    hovered = unit
    if (unit === null) count()
    else note.textContent = `unit ${unit}: ${decimal(values[unit])}`
    refresh()
  })
  canvas.addEventListener("pointerleave", () => {
    hovered = null
    count()
    refresh()
  })
  canvas.addEventListener("click", (event) => {
    const unit = unitAt(event)
    if (unit !== null) picked(unit)
  })
  choice.addEventListener("input", () => {
    if (choice.value !== "" && choice.checkValidity()) picked(Number(choice.value))
  })
  new ResizeObserver(refresh).observe(figure)
  count()

  return {
    figure,
    repaint: refresh,
    pick,
    clear() {
      values = new Array(units).fill(0)
      before = values
      count()
      refresh()
    },
    /** Shows activations; those of a finished drawing come as a wave after `delay` milliseconds. */
    show(activations, { wave = false, delay = 0 } = {}) {
      before = wave ? values : activations
      values = activations
      started = wave ? performance.now() + delay : -Infinity
      count()
      refresh()
    },
  }
}
