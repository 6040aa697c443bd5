// The card of one unit: what it looks for, what it finds in this picture, and what it hands on.

import { limitOf, paint, paintSigned, plainColour } from "./colour.js"
import { bar, html } from "./element.js"
import { strongest } from "./ranks.js"
import { decimal, signed } from "./words.js"

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
  const name = { relu: "ReLU", tanh: "tanh", logistic: "sigmoid", identity: "as it is" }[activation]
  return html(
    "p",
    { class: "sum" },
    html("span", {}, `${signed(total)}`, html("small", {}, "sum")),
    html("span", {}, signed(bias), html("small", {}, "bias")),
    html("span", {}, decimal(total + bias), html("small", {}, "together")),
    html("span", {}, decimal(value), html("small", {}, `after ${name}`)),
  )
}

/** Its incoming weights over the pixels. */
function fromPixels(layer, unit, reading) {
  const weights = layer.column(unit)
  const products = weights.map((weight, i) => weight * reading.input[i])
  const [looks, ink, finds] = [square("Weights of the unit"), square("The ink"), square("Weights times ink")]
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
        captioned(looks, "its weights"),
        html("i", {}, "×"),
        captioned(ink, "the ink"),
        html("i", {}, "="),
        captioned(finds, "what it finds"),
      ),
    ],
  }
}

/** Its strongest connections to the layer before. */
function fromUnits(layer, unit, inputs) {
  const products = inputs.map((input, i) => input * layer.weight(i, unit))
  const total = products.reduce((all, product) => all + product, 0)
  const shown = strongest(products, STRONGEST)
  const rest = total - shown.reduce((all, i) => all + products[i], 0)
  const rows = shown.map((i) => [`unit ${i}`, products[i], `${decimal(inputs[i])} × ${signed(layer.weight(i, unit))}`])
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

/** What a unit adds to each score: all units behind it that are on hand its signal on, straight. */
async function handedOn(weights, model, reading, index, unit) {
  let signal = null
  for (let next = index + 1; next < model.layers.length; next += 1) {
    const layer = await weights.layer(next)
    const from = signal ?? [[unit, reading.hidden[index][unit]]]
    const open = next === model.layers.length - 1 ? null : reading.hidden[next]
    signal = Array.from({ length: layer.nOut }, (_, j) => [
      j,
      open && open[j] === 0 ? 0 : from.reduce((all, [i, value]) => all + value * layer.weight(i, j), 0),
    ])
  }
  const added = signal.map(([, value]) => value)
  return added.length < reading.classes.length ? [0, ...added] : added
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
    const name = `Unit ${unit} of layer ${index + 1}`
    const loading = setTimeout(
      () => card.replaceChildren(html("h3", {}, name), html("p", { class: "quiet" }, "Its weights are coming …")),
      120,
    )
    try {
      const layer = await weights.layer(index)
      const { activation } = model.layers[index]
      const value = reading.hidden[index][unit]
      const inputs = index === 0 ? reading.input : reading.hidden[index - 1]
      const { total, parts } = index === 0 ? fromPixels(layer, unit, reading) : fromUnits(layer, unit, inputs)
      const straight = model.layers
        .slice(index + 1, -1)
        .every((next) => next.activation === "relu" || next.activation === "identity")
      const added = straight ? await handedOn(weights, model, reading, index, unit) : null
      if (mine !== turn) return
      const content = [html("h3", {}, name), ...parts, sum(total, layer.bias(unit), activation, value)]
      if (value === 0) content.push(html("p", { class: "quiet" }, "It is off: for this picture it hands on nothing."))
      else if (added) {
        const order = strongest(added, MOST_CHANGED)
        content.push(
          html("p", {}, "It is on. What it adds to the scores:"),
          ladder(order.map((i) => [`score of ${reading.classes[i]}`, added[i]])),
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
    show(index, unit) {
      shown = { index, unit }
      card.classList.add("open")
      return render()
    },
    update(newReading) {
      reading = newReading
      return render()
    },
  }
}
