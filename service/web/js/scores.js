// From scores to probabilities, row by row, with the numbers of this picture; and who gave the answer its score.

import { limitOf } from "./colour.js"
import { bar, byId, html } from "./element.js"
import { descending, strongest } from "./ranks.js"
import { decimal, percent, short, signed } from "./words.js"

const STRONGEST = 12

function cell(value, limit) {
  return html("td", {}, bar(value, limit), html("span", { class: "figure" }, signed(value)))
}

/** The table, the strip of shares and the sentence below. */
export function showSoftmax(reading) {
  const { classes, scores, temperature, index, answer } = reading
  const powers = scores.map((score) => Math.exp(score / temperature))
  const sum = powers.reduce((all, power) => all + power, 0)
  const limit = limitOf(scores)
  byId("scores-title").textContent = `${classes.length === 10 ? "Ten" : classes.length} scores, one answer`
  byId("softmax").tBodies[0].replaceChildren(
    ...classes.map((digit, i) =>
      html(
        "tr",
        i === index ? { class: "best" } : {},
        html("th", { scope: "row" }, String(digit)),
        cell(scores[i], limit),
        html("td", { class: "figure" }, short(powers[i])),
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
      html("td", { class: "figure" }, short(sum)),
      html("td", { class: "figure" }, "all of it"),
    ),
  )
  byId("strip").replaceChildren(
    ...descending(reading.scores).map((i) =>
      html("span", { "--share": answer.probabilities[i] }, answer.probabilities[i] > 0.03 ? String(classes[i]) : ""),
    ),
  )
  const digit = classes[index]
  const one = reading.single
    ? `The network has a single score, for ${classes[1]}; that of ${classes[0]} counts as 0. `
    : ""
  byId("softmax-told").textContent =
    `${one}For ${digit}: exp(${decimal(scores[index])} / ${decimal(temperature)}) = ${short(powers[index])}; ` +
    `divided by ${short(sum)} that is ${percent(answer.probabilities[index])}. ` +
    (temperature === 1
      ? ""
      : `T = ${decimal(temperature)} is the temperature, ` +
        "fitted so that of the answers with 90 % nine in ten are right.")
}

/** The contributions of the last hidden layer to the answer's score. */
export function showContributions(reading, layer) {
  const { classes, index, single } = reading
  const inputs = reading.hidden.at(-1)
  const [unit, sign] = single ? [0, index === 1 ? 1 : -1] : [index, 1]
  const products = inputs.map((input, i) => sign * input * layer.weight(i, unit))
  const shown = strongest(products, STRONGEST)
  const rest = products.reduce((all, product) => all + product, 0) - shown.reduce((all, i) => all + products[i], 0)
  const limit = limitOf(shown.map((i) => products[i]))
  // All others together would dwarf the single ones: they have no bar.
  const rows = [
    ...shown.map((i) => [`unit ${i}`, products[i], bar(products[i], limit)]),
    [`${inputs.length - shown.length} others`, rest, html("span")],
    ["bias", sign * layer.bias(unit), html("span")],
  ]
  const total = rows.reduce((all, [, value]) => all + value, 0)
  const box = byId("contributions")
  box.hidden = false
  box.querySelector(".the-digit").textContent = String(classes[index])
  box
    .querySelector("ol")
    .replaceChildren(
      ...rows.map(([name, value, drawn]) =>
        html("li", {}, html("span", {}, name), drawn, html("b", {}, signed(value))),
      ),
      html(
        "li",
        { class: "total" },
        html("span", {}, `score of ${classes[index]}`),
        html("span"),
        html("b", {}, signed(total)),
      ),
    )
}
