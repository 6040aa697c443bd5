// One stencil for each class: laid over the ink, multiplied and added up, plus an offset, it is the score.

import { limitOf, paintSigned, smoothed } from "./colour.js"
import { html } from "./element.js"
import { decimal, signed } from "./words.js"

/** Stencil times ink, summed. */
function inked(stencil, input) {
  return stencil.reduce((sum, value, i) => sum + value * input[i], 0)
}

/** Fills a list with the stencils of a reading. */
export function showStencils(list, reading) {
  const maps = reading.stencils.map(smoothed)
  const limit = limitOf(maps.flat())
  list.replaceChildren(
    ...reading.classes.map((digit, i) => {
      const canvas = html("canvas", { width: 112, height: 112, role: "img", "aria-label": `Stencil of ${digit}` })
      paintSigned(canvas, maps[i], 0.6 * limit)
      const total = inked(reading.stencils[i], reading.input)
      return html(
        "li",
        { class: i === reading.index ? "best" : "" },
        html("b", {}, String(digit)),
        canvas,
        html("span", {}, html("small", {}, "ink "), signed(total, 2)),
        html("span", {}, html("small", {}, "offset "), signed(reading.offsets[i], 2)),
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
