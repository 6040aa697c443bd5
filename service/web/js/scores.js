// From logits to probabilities, row by row, with the numbers of this picture; and what adds up to the answer's logit.

import { limitOf } from "./colour.js"
import { bar, byId, html } from "./element.js"
import { descending, strongest } from "./ranks.js"
import { decimal, percent, short, signed } from "./words.js"

const STRONGEST = 12

function cell(value, limit) {
  return html("td", {}, bar(value, limit), html("span", { class: "figure" }, signed(value)))
}

/** The heads and sentences of a network: softmax, or for a single logit the sigmoid. */
export function describeScores({ head, classes }) {
  const single = head === "logistic"
  byId("scores-title").textContent = single ? "One logit and the sigmoid" : "Logits and softmax"
  byId("scores-lead").textContent = single
    ? `The network has two classes, and a single logit z, any real number. The sigmoid, the logistic function, makes of ` +
      `it the probability of ${classes[1]}; the rest is that of ${classes[0]}. Above z = 0 the answer is ${classes[1]}. A ` +
      "softmax of two logits is the sigmoid of their difference, so that one is enough."
    : `The last layer has a logit z(k) for every class k, here ${classes.length} digits: any real number. The softmax makes ` +
      "probabilities of them. The exponential function makes each positive; divided by the sum over all classes j, they add " +
      "up to 1."
  byId("softmax-formula").replaceChildren(
    html("span", {}, single ? "p = σ(z / T) = 1 / (1 + e^(−z / T))" : "p(k) = e^(z(k) / T) / Σ e^(z(j) / T)"),
  )
  byId("power-head").textContent = single ? "σ(z / T)" : "e^((z − m) / T)"
}

/** The table, the strip of shares and the sentence below. */
export function showSoftmax(reading) {
  const { classes, scores, temperature, index, answer, single } = reading
  // A softmax does not change when the same number is subtracted from all logits: no power is too large then.
  const largest = Math.max(...scores)
  const powers = scores.map((score) => Math.exp((score - largest) / temperature))
  const sum = powers.reduce((all, one) => all + one, 0)
  const limit = limitOf(scores)
  const raised = (i) => (single ? (i === 1 ? "σ(z / T)" : "1 − σ(z / T)") : short(powers[i]))
  byId("softmax").tBodies[0].replaceChildren(
    ...classes.map((digit, i) =>
      html(
        "tr",
        i === index ? { class: "best" } : {},
        html("th", { scope: "row" }, String(digit)),
        single && i === 0 ? html("td") : cell(scores[i], limit),
        html("td", { class: "figure" }, raised(i)),
        html(
          "td",
          { "--share": answer.probabilities[i] },
          html("span", { class: "portion" }),
          html("span", { class: "figure" }, percent(answer.probabilities[i])),
        ),
      ),
    ),
  )
  byId("softmax").tFoot.replaceChildren(
    html(
      "tr",
      {},
      html("th", { scope: "row" }, "sum"),
      html("td"),
      html("td", { class: "figure" }, single ? "" : short(sum)),
      html("td", { class: "figure" }, "1"),
    ),
  )
  byId("strip").replaceChildren(
    ...descending(reading.scores).map((i) =>
      html("span", { "--share": answer.probabilities[i] }, answer.probabilities[i] > 0.03 ? String(classes[i]) : ""),
    ),
  )
  const digit = classes[index]
  byId("softmax-told").textContent =
    (single
      ? `p(${classes[1]}) = 1 / (1 + e^(−z / T)) = 1 / (1 + ${short(Math.exp(-scores[1] / temperature))}) = ` +
        `${percent(answer.probabilities[1])}.`
      : `m is the largest logit, ${decimal(largest)}: subtracted from all, it changes nothing. ` +
        `p(${digit}) = ${short(powers[index])} / ${short(sum)} = ${percent(answer.probabilities[index])}.`) +
    (temperature === 1 ? "" : ` T = ${decimal(temperature)} is the model’s temperature.`)
}

/** The contributions of the last hidden layer to the answer's logit, or to the only one. */
export function showContributions(reading, layer) {
  const { classes, index, single } = reading
  const inputs = reading.hidden.at(-1)
  const unit = single ? 0 : index
  const digit = classes[single ? 1 : index]
  const products = inputs.map((input, i) => input * layer.weight(i, unit))
  const shown = strongest(products, STRONGEST)
  const rest = products.reduce((all, product) => all + product, 0) - shown.reduce((all, i) => all + products[i], 0)
  const limit = limitOf(shown.map((i) => products[i]))
  const others = inputs.length - shown.length
  // All others together would dwarf the single ones: they have no bar.
  const rows = [
    ...shown.map((i) => [`unit ${i}`, products[i], bar(products[i], limit)]),
    ...(others ? [[`${others} ${others === 1 ? "other" : "others"}`, rest, html("span")]] : []),
    ["bias", layer.bias(unit), html("span")],
  ]
  const total = rows.reduce((all, [, value]) => all + value, 0)
  const box = byId("contributions")
  box.hidden = false
  box.querySelector(".the-digit").textContent = String(digit)
  box
    .querySelector("ol")
    .replaceChildren(
      ...rows.map(([name, value, drawn]) =>
        html("li", {}, html("span", {}, name), drawn, html("b", {}, signed(value))),
      ),
      html(
        "li",
        { class: "total" },
        html("span", {}, `logit of ${digit}`),
        html("span"),
        html("b", {}, signed(total)),
      ),
    )
}
