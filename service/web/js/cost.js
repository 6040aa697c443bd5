// The cost of this picture's answer, and the first step of backpropagation. Training knows no temperature: p is the
// softmax of the logits as they are.

import { limitOf } from "./colour.js"
import { runnerUp } from "./duel.js"
import { bar, byId, html } from "./element.js"
import { strongest } from "./ranks.js"
import { softmax } from "./softmax.js"
import { decimal, short, signed } from "./words.js"

/** A probability in a logarithm. None is 1 or 0. */
function inLog(p) {
  return p > 0.999 ? ">\u00a00.999" : short(p)
}

function costWords(cost) {
  return cost < 0.001 ? "less than 0.001" : decimal(cost, cost < 0.1 ? 3 : 2)
}

/** Returns { show(reading), clear() }. At first the runner-up is taken for right, since that teaches more. */
export function makeCost() {
  const element = byId("cost-body")
  let reading = null
  let right = 0

  function render() {
    const { classes, scores, single, hidden } = reading
    const p = softmax(scores, 1)
    const cost = -Math.log(Math.max(p[right], 1e-300))
    const delta = p.map((share, k) => share - (k === right ? 1 : 0))
    const rows = single ? [1] : [...classes.keys()]
    const digit = classes[right]
    const select = html(
      "select",
      {
        onchange: (event) => {
          right = Number(event.target.value)
          render()
          element.querySelector("select").focus()
        },
      },
      ...classes.map((name, k) => html("option", { value: k, selected: k === right }, String(name))),
    )
    const last = hidden.at(-1)
    const [unit] = last ? strongest(last, 1) : []
    const k = single ? 1 : right
    const slope = last ? last[unit] * delta[k] : 0
    element.replaceChildren(
      html("label", { class: "choice" }, "Suppose that the right digit is ", select),
      html(
        "div",
        {},
        html(
          "p",
          { class: "equation" },
          `C = −log p(${digit}) = −log(${inLog(p[right])}) ${cost < 0.001 ? "is" : "="} ${costWords(cost)}`,
        ),
        html(
          "p",
          {},
          right === reading.index
            ? "The answer is right then, and there is little to learn."
            : `The answer, ${classes[reading.index]}, is wrong then. Had it been right, the cost would be ` +
                `${costWords(-Math.log(p[reading.index]))}.`,
        ),
        html("p", {}, "Backpropagation begins with δ = p − y, the derivative of the cost by each logit:"),
        html(
          "ol",
          { class: "deltas" },
          ...rows.map((i) =>
            html(
              "li",
              { class: i === right ? "best" : "" },
              html("b", {}, String(classes[i])),
              bar(delta[i], Math.max(limitOf(delta), 0.05)),
              html("span", { class: "figure" }, signed(delta[i], 3)),
            ),
          ),
        ),
        last && last.length > 0
          ? html(
              "p",
              {},
              `From δ follow the derivatives by the weights, output times δ. For the most active unit, ${unit}, and the logit of ${classes[k]}: `,
              html("span", { class: "equation" }, `∂C/∂w = a · δ = ${decimal(last[unit])} × ${signed(delta[k], 3)} = ${signed(slope, 3)}.`),
              slope < -0.0005
                ? " A step against it makes this weight larger, and the logit with it."
                : slope > 0.0005
                  ? " A step against it makes this weight smaller, and the logit with it."
                  : " A step hardly changes it.",
            )
          : "",
        html("p", { class: "quiet" }, "Times the weights and the slope of the activation function, with ReLU 1 or 0, δ goes back to the layer before."),
      ),
    )
  }

  return {
    show(newReading) {
      reading = newReading
      right = runnerUp(reading)
      render()
    },
    clear: () => element.replaceChildren(),
  }
}
