// How the network learned, and how good it is: from the model's description and from its report.

import { html, svg } from "./element.js"
import { decimal, percent } from "./words.js"

const WIDTH = 380
const HEIGHT = 210
const LEFT = 52
const BOTTOM = 34
const TOP = 12

function ticks(low, high) {
  return Array.from({ length: Math.floor(high) - Math.ceil(low) + 1 }, (_, i) => Math.ceil(low) + i)
}

/** A line over epochs, on a logarithmic scale: learning is fast, then slow. */
function curve(values, label, format) {
  const logs = values.map((value) => Math.log10(Math.max(value, 1e-9)))
  const [low, high] = [Math.min(...logs), Math.max(...logs)]
  const x = (i) => LEFT + ((WIDTH - LEFT - 8) * i) / Math.max(1, values.length - 1)
  const y = (log) => TOP + ((HEIGHT - TOP - BOTTOM) * (high - log)) / Math.max(1e-9, high - low)
  const marks = ticks(low, high).length > 1 ? ticks(low, high) : [low, high]
  return svg(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: "img",
      "aria-label": `${label}: from ${format(values[0])} to ${format(values.at(-1))} in ${values.length} epochs`,
    },
    ...marks.flatMap((log) => [
      svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(log), y2: y(log) }),
      svg("text", { x: LEFT - 8, y: y(log) + 5, "text-anchor": "end" }, format(10 ** log)),
    ]),
    svg("polyline", { class: "curve", points: logs.map((log, i) => `${x(i)},${y(log)}`).join(" ") }),
    svg("circle", { class: "dot", cx: x(values.length - 1), cy: y(logs.at(-1)), r: 4 }),
    svg("text", { x: LEFT, y: HEIGHT - 8 }, "epoch 1"),
    svg("text", { x: WIDTH, y: HEIGHT - 8, "text-anchor": "end" }, String(values.length)),
  )
}

/** Confidence against the share that is right. */
function calibration(bins) {
  const side = HEIGHT - TOP - BOTTOM
  const x = (share) => LEFT + (WIDTH - LEFT - 12) * share
  const y = (share) => TOP + side * (1 - share)
  const most = Math.max(...bins.map((bin) => bin.n))
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": "Share of answers that is right, by confidence" },
    ...[0, 0.5, 1].flatMap((share) => [
      svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(share), y2: y(share) }),
      svg("text", { x: LEFT - 8, y: y(share) + 5, "text-anchor": "end" }, `${100 * share} %`),
    ]),
    svg("line", { class: "ideal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    ...bins.map((bin) =>
      svg(
        "circle",
        { class: "dot", cx: x(bin.confidence), cy: y(bin.accuracy), r: 3 + 7 * Math.sqrt(bin.n / most) },
        svg("title", {}, `${percent(bin.confidence)} sure, ${percent(bin.accuracy)} right: ${bin.n} answers`),
      ),
    ),
    svg("text", { x: LEFT, y: HEIGHT - 8 }, "0 % sure"),
    svg("text", { x: WIDTH, y: HEIGHT - 8, "text-anchor": "end" }, "100 % sure"),
  )
}

/** Rows: what it was; columns: what it was read as. */
function confusion(counts, classes) {
  const most = Math.max(1, ...counts.flatMap((row, i) => row.filter((_, j) => i !== j)))
  return html(
    "table",
    { class: "confusion" },
    html("caption", { class: "unseen" }, "How often a digit (row) was read as another (column)"),
    html(
      "thead",
      {},
      html("tr", {}, html("td"), ...classes.map((digit) => html("th", { scope: "col" }, String(digit)))),
    ),
    html(
      "tbody",
      {},
      ...counts.map((row, i) =>
        html(
          "tr",
          {},
          html("th", { scope: "row" }, String(classes[i])),
          ...row.map((n, j) =>
            html(
              "td",
              {
                class: i === j ? "right" : "",
                "--share": i === j ? 0 : n / most,
                title: `${n} times ${classes[i]} read as ${classes[j]}`,
              },
              i === j || n === 0 ? "" : String(n),
            ),
          ),
        ),
      ),
    ),
  )
}

/** A PNG of the report on a canvas, since pictures from behind a key are not had by an address alone. */
async function drawing(client, name, label) {
  const bitmap = await createImageBitmap(await client.figure(name))
  const canvas = html("canvas", {
    class: "print",
    width: bitmap.width,
    height: bitmap.height,
    role: "img",
    "aria-label": label,
  })
  canvas.getContext("2d").drawImage(bitmap, 0, 0)
  return canvas
}

function card(title, told, ...content) {
  return html(
    "figure",
    {},
    html("figcaption", {}, html("h3", {}, title), html("p", { class: "quiet" }, told)),
    ...content,
  )
}

/** Fills the element. A model without a report shows what its own description tells. */
export async function showLearning(element, client, model) {
  const { losses = [], validation_errors: errors = [] } = model.training
  const cards = []
  if (losses.length > 1)
    cards.push(
      card(
        "Being wrong, less and less",
        "The loss after each pass over all examples: how surprised the network was by the truth.",
        curve(losses, "Loss", (value) => String(Number(value.toPrecision(2)))),
      ),
    )
  if (errors.length > 1)
    cards.push(
      card(
        "On digits that it never saw",
        "Share of validation digits misread. If this rose while the loss fell, it would learn by heart.",
        curve(errors, "Validation error", (value) => `${Number((100 * value).toPrecision(2))} %`),
      ),
    )
  if (!model.report) {
    element.replaceChildren(...cards, card("Nothing measured", "There is no report on this model."))
    return
  }
  try {
    const report = await client.report()
    const { test } = report
    cards.push(
      card(
        `${test.wrong} of ${test.n.toLocaleString("en")} wrong`,
        "Test digits of other people, which chose nothing. Row: what it was; column: what it was read as. " +
          "What was read right is left blank.",
        confusion(test.confusion, model.classes),
      ),
    )
    const error = report.probabilities?.after_temperature?.expected_calibration_error
    const told =
      "If it says 90 %, it should be right nine times in ten: on the diagonal. " +
      `On average it is off by ${decimal(100 * error)} percentage points.`
    cards.push(
      card(
        "Does it know what it knows?",
        told,
        report.reliability
          ? calibration(report.reliability)
          : await drawing(client, "reliability", "Share that is right by confidence"),
      ),
    )
    const wide = card(
      "Its own mistakes",
      "Every misread test digit: the truth, then the answer and how sure the network was.",
      await drawing(client, "misread", "Misread test digits"),
    )
    wide.classList.add("wide")
    cards.push(wide)
  } catch (error) {
    cards.push(card("The report is not here", error.message))
  }
  element.replaceChildren(...cards)
}
