// The effective weights of each class: times the ink, added up, plus the effective bias, they are the logit.
//
// A softmax does not change when the same is added to all logits. So what all classes have in common is left out of the
// pictures, and only what tells them apart is seen. The sums are those of the whole weights.

import { colours, css, paintSigned, percentile, smoothed } from "./colour.js"
import { html } from "./element.js"
import { decimal, signed } from "./words.js"

const SIDE = 28

/** Effective weights times ink, summed. */
function inked(stencil, input) {
  return stencil.reduce((sum, value, i) => sum + value * input[i], 0)
}

/** A line around the ink, so that one sees on which weights it lies. */
function outline(canvas, input) {
  const context = canvas.getContext("2d")
  const cell = canvas.width / SIDE
  const isInk = (row, column) => row >= 0 && column >= 0 && row < SIDE && column < SIDE && input[SIDE * row + column] > 0.5
  context.strokeStyle = css(colours().ink, 0.75)
  context.beginPath()
  for (let row = 0; row <= SIDE; row += 1) {
    for (let column = 0; column <= SIDE; column += 1) {
      const [x, y] = [column * cell, row * cell]
      if (isInk(row, column) !== isInk(row - 1, column)) {
        context.moveTo(x, y)
        context.lineTo(x + cell, y)
      }
      if (isInk(row, column) !== isInk(row, column - 1)) {
        context.moveTo(x, y)
        context.lineTo(x, y + cell)
      }
    }
  }
  context.stroke()
}

/** The effective weights of all classes, less their mean. Pure. */
export function withoutMean(stencils) {
  const mean = stencils[0].map((_, at) => stencils.reduce((sum, stencil) => sum + stencil[at], 0) / stencils.length)
  return stencils.map((stencil) => stencil.map((value, at) => value - mean[at]))
}

/** Fills a list with the effective weights of a reading; a network with a single logit has one picture. */
export function showStencils(list, reading, told) {
  const all = reading.classes.map((digit, i) => [digit, i])
  const shown = reading.single ? all.slice(1) : all
  const maps = (reading.single ? reading.stencils : withoutMean(reading.stencils)).map(smoothed)
  // Large weights where no ink can be would fade those that count.
  const limit = percentile(maps.flat(), 0.96)
  told.textContent = reading.single
    ? `The only logit is that of ${reading.classes[1]}. Smoothed for the eye; the sums are exact.`
    : "The mean over all classes is left out of the pictures: the softmax does not see what all have in common. " +
      "Smoothed for the eye; the sums are those of the whole weights, and exact."
  list.replaceChildren(
    ...shown.map(([digit, i]) => {
      const canvas = html("canvas", {
        width: 168,
        height: 168,
        role: "img",
        "aria-label": `Effective weights of ${digit}${reading.single ? "" : ", less the mean over the classes"}`,
      })
      paintSigned(canvas, maps[i], limit)
      outline(canvas, reading.input)
      const total = inked(reading.stencils[i], reading.input)
      return html(
        "li",
        { class: i === reading.index ? "best" : "" },
        html("b", {}, String(digit)),
        canvas,
        html("span", {}, html("small", {}, "ink "), signed(total, 2)),
        html("span", {}, html("small", {}, "bias "), signed(reading.offsets[i], 2)),
        html(
          "span",
          { class: "score" },
          html("small", {}, "= "),
          html("strong", { "data-score": total + reading.offsets[i] }, decimal(total + reading.offsets[i])),
        ),
      )
    }),
  )
}
