// The chapter on alpha: the recorded study, an alpha at a time. The record is what `digits-train alpha-study` wrote.

import { html } from "./element.js"
import { mark, paintField } from "./plane.js"
import { decimal } from "./words.js"

const RECORD = "page/records/alpha.json"

const share = (value) => `${decimal(100 * value, 1)}\u00a0%`

/** The half circles as numbers: points, labels, extent, and a field of probabilities for each alpha. */
function moonsOf({ extent, points, labels, fields }) {
  return {
    extent,
    points: points.map((text) => text.split(" ").map(Number)),
    labels: [...labels].map(Number),
    fields: fields.map((rows) => rows.map((row) => [...row].map((digit) => parseInt(digit, 36) / 35))),
  }
}

function paintMoons(canvas, { extent: [left, right, low, high], points, labels }, field) {
  const width = canvas.clientWidth
  if (!width) return
  const n = field.length
  const height = (width * (high - low)) / (right - left)
  // Rows of the record come from the bottom.
  const valueAt = (x, y) => 2 * field[n - 1 - y][x] - 1
  const context = paintField(canvas, [width, height], n, valueAt, [0.08, 0.45])
  context.lineWidth = 2
  points.forEach(([px, py], i) =>
    mark(context, (width * (px - left)) / (right - left), (height * (high - py)) / (high - low), 4, labels[i]),
  )
}

/** What the model that is served was fitted with. */
function served({ settings = {} }) {
  const { alpha } = settings.estimator ?? {}
  const decay = settings.schedule?.weight_decay
  if (alpha === undefined) return ""
  return (
    `The model on this page was fitted with α = ${alpha}` +
    (decay ? ` and with weight decay ${decay}, which shrinks its weights in another way.` : ".")
  )
}

/** Fills the chapter. Returns { repaint }. */
export async function showAlpha(element, model) {
  const { effects, moons: recorded, n_training: nTraining, n_validation: nValidation } = await (
    await fetch(RECORD)
  ).json()
  const moons = moonsOf(recorded)
  const canvas = html("canvas", { role: "img" })
  const value = html("output", {})
  const figures = html("dl", { class: "figures" })
  const told = html("p", { class: "told", "aria-live": "polite" })
  const best = effects.reduce((one, other) => (other.validation_accuracy > one.validation_accuracy ? other : one))
  const slider = html("input", { type: "range", min: 0, max: effects.length - 1, step: 1, value: 0, oninput: render })

  function render() {
    const effect = effects[Number(slider.value)]
    const { alpha, training_accuracy: training, validation_accuracy: validation, weight_norm: norm } = effect
    value.textContent = String(alpha)
    slider.setAttribute("aria-valuetext", String(alpha))
    canvas.setAttribute("aria-label", `Decision regions of two half circles, alpha ${alpha}`)
    paintMoons(canvas, moons, moons.fields[Number(slider.value)])
    figures.replaceChildren(
      ...[
        ["norm of all weights", decimal(norm, 1)],
        ["right of the digits learned from", share(training)],
        ["right of other digits", share(validation)],
        ["gap: overfitting", `${decimal(100 * (training - validation), 1)} points`],
      ].flatMap(([name, text]) => [html("dt", {}, name), html("dd", {}, text)]),
    )
    told.textContent =
      effect === best
        ? "Of the recorded values, this one is best on digits that were held out."
        : alpha < best.alpha
          ? `Less penalty than the best one, ${best.alpha}: the weights are larger, and the fit follows single digits.`
          : `More penalty than the best one, ${best.alpha}: the weights are too small to fit even the digits learned from, underfitting.`
  }

  element.replaceChildren(
    html("label", { class: "slider" }, html("span", {}, "α = ", value), slider),
    html(
      "div",
      { class: "points" },
      html(
        "figure",
        {},
        canvas,
        html("figcaption", { class: "quiet" }, "Two interleaved half circles, learned with this α: decision regions."),
      ),
      html(
        "div",
        {},
        html("h3", {}, "The lecture’s network on digits"),
        html(
          "p",
          { class: "quiet" },
          `Recorded by digits-train alpha-study: ${nTraining.toLocaleString("en")} digits to learn from, ` +
            `${nValidation.toLocaleString("en")} others.`,
        ),
        figures,
        told,
        html("p", { class: "quiet" }, served(model.training)),
      ),
    ),
  )
  new ResizeObserver(render).observe(canvas.parentElement)
  return { repaint: render }
}
