// The card of one unit: its weights, its weighted sum over this picture, its activation, and what that adds to the logits.

import { limitOf, paint, paintSigned, plainColour } from "./colour.js"
import { bar, html } from "./element.js"
import { strongest } from "./ranks.js"
import { activationName, decimal, signed } from "./words.js"

const STRONGEST = 8
const MOST_CHANGED = 4

function square(label) {
  return html("canvas", { width: 112, height: 112, role: "img", "aria-label": label })
}

function captioned(canvas, text) {
  return html("figure", {}, canvas, html("figcaption", {}, text))
}

/** Rows of name, value, bar and note. */
function ladder(rows) {
  const limit = limitOf(rows.map(([, value]) => value))
  return html(
    "ol",
    { class: "ladder" },
    ...rows.map(([name, value, note = ""]) =>
      html("li", {}, html("span", {}, name, html("small", {}, note)), bar(value, limit), html("b", {}, signed(value))),
    ),
  )
}

/** sum + bias -> activation, in numbers. */
function sum(total, bias, activation, value) {
  return html(
    "p",
    { class: "sum" },
    html("span", {}, `${signed(total)}`, html("small", {}, "sum")),
    html("span", {}, signed(bias), html("small", {}, "bias")),
    html("span", {}, decimal(total + bias), html("small", {}, "z")),
    html("span", {}, decimal(value), html("small", {}, `a = ${activationName(activation)}(z)`)),
  )
}

/** Its incoming weights over the pixels. */
function fromPixels(weights, reading) {
  const products = weights.map((weight, i) => weight * reading.input[i])
  const [looks, ink, finds] = [square("Weights of the unit"), square("The input"), square("Weights times input")]
  paintSigned(looks, weights)
  paint(ink, reading.input, (share) => plainColour(share))
  paintSigned(finds, products)
  const total = products.reduce((all, product) => all + product, 0)
  return {
    total,
    parts: [
      html(
        "div",
        { class: "product" },
        captioned(looks, "weights w"),
        html("i", {}, "×"),
        captioned(ink, "input a(0)"),
        html("i", {}, "="),
        captioned(finds, "w · a(0)"),
      ),
    ],
  }
}

/** Its strongest connections to the layer before. */
function fromUnits(weights, inputs) {
  const products = inputs.map((input, i) => input * weights[i])
  const total = products.reduce((all, product) => all + product, 0)
  const shown = strongest(products, STRONGEST)
  const rest = total - shown.reduce((all, i) => all + products[i], 0)
  const rows = shown.map((i) => [`unit ${i}`, products[i], `${decimal(inputs[i])} × ${signed(weights[i])}`])
  return {
    total,
    parts: [
      html("p", {}, "Its strongest connections: activation × weight"),
      ladder(rows),
      html(
        "p",
        { class: "quiet" },
        `and ${signed(rest)} from the ${(inputs.length - shown.length).toLocaleString("en")} others`,
      ),
    ],
  }
}

/**
 * What a unit adds to each logit: all active units behind it hand its signal on, straight. The mean over the classes is
 * left out, since the softmax does not see it.
 */
async function handedOn(weights, model, reading, index, unit) {
  const last = model.layers.length - 1
  const open = (layer, values) =>
    layer === last ? values : values.map((value, j) => (reading.hidden[layer][j] === 0 ? 0 : value))
  const [row] = await weights.rows(index + 1, [unit])
  let signal = open(index + 1, [...row].map((weight) => weight * reading.hidden[index][unit]))
  for (let next = index + 2; next <= last; next += 1) {
    const layer = await weights.layer(next)
    const sums = Array.from({ length: layer.nOut }, (_, j) =>
      signal.reduce((all, value, i) => (value === 0 ? all : all + value * layer.weight(i, j)), 0),
    )
    signal = open(next, sums)
  }
  if (reading.single) return [0, ...signal]
  const mean = signal.reduce((all, value) => all + value, 0) / signal.length
  return signal.map((value) => value - mean)
}

/** Returns { show(index, unit), update(reading) } for the card in this element. */
export function makeUnitCard(card, { weights, model }) {
  let shown = null
  let reading = null
  let turn = 0

  async function render() {
    if (!shown || !reading) return
    const { index, unit } = shown
    turn += 1
    const mine = turn
    const name = `Unit ${unit} of a(${index + 1})`
    const loading = setTimeout(
      () => card.replaceChildren(html("h3", {}, name), html("p", { class: "quiet" }, "Its weights are coming …")),
      120,
    )
    try {
      const [column] = await weights.columns(index, [unit])
      const { activation } = model.layers[index]
      const value = reading.hidden[index][unit]
      const inputs = index === 0 ? reading.input : reading.hidden[index - 1]
      const { total, parts } = index === 0 ? fromPixels(column.weights, reading) : fromUnits(column.weights, inputs)
      const straight = model.layers
        .slice(index + 1, -1)
        .every((next) => next.activation === "relu" || next.activation === "identity")
      const added = straight ? await handedOn(weights, model, reading, index, unit) : null
      if (mine !== turn) return
      const content = [html("h3", {}, name), ...parts, sum(total, column.bias, activation, value)]
      if (value === 0) content.push(html("p", { class: "quiet" }, "It is inactive: for this picture its output is 0."))
      else if (added) {
        const order = strongest(added, MOST_CHANGED)
        content.push(
          html("p", {}, `It is active. What it adds to the logits${reading.single ? "" : ", less the mean over the classes"}:`),
          ladder(order.map((i) => [`logit of ${reading.classes[i]}`, added[i]])),
        )
      }
      card.replaceChildren(...content)
    } catch (error) {
      if (mine === turn)
        card.replaceChildren(html("h3", {}, name), html("p", {}, `${error.message} Choose it again later.`))
    } finally {
      clearTimeout(loading)
    }
  }

  return {
    /** Shows a unit, on a phone as a sheet where a person chose it. */
    show(index, unit, { chosen = true, of = reading } = {}) {
      reading = of
      shown = { index, unit }
      card.classList.toggle("open", chosen)
      return render()
    },
    update(newReading) {
      reading = newReading
      return render()
    },
    clear() {
      reading = null
      turn += 1
      card.replaceChildren(html("p", { class: "quiet" }, "Its numbers come with the next picture."))
    },
  }
}
