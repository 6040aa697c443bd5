// How the network learned, and how good it is: from the model's description and from its report.

import { byId, html, svg } from "./element.js"
import { decimal, percent } from "./words.js"

const WIDTH = 380
const HEIGHT = 210
const LEFT = 52
const BOTTOM = 34
const TOP = 12
// How the drawing of misread digits is divided.
const DRAWN_COLUMNS = 10
const DRAWN_RATIO = 1.25

function ticks(low, high) {
  return Array.from({ length: Math.floor(high) - Math.ceil(low) + 1 }, (_, i) => Math.ceil(low) + i)
}

/** A line over epochs, on a logarithmic scale: learning is fast, then slow. */
function curve(values, label, format, phase) {
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
    ...(phase
      ? [
          svg("line", { class: "phase", x1: x(phase.first), x2: x(phase.first), y1: TOP - 8, y2: HEIGHT - BOTTOM }),
          svg("text", { x: x(phase.first) - 8, y: TOP + 6, "text-anchor": "end" }, `epoch ${phase.first + 1}`),
        ]
      : []),
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

/**
 * The misread digits of the report, each as a tile that is large enough for its caption, in as many columns as there is room
 * for. The report has them in one drawing of ten columns, whose rows are a quarter higher than its columns are wide.
 */
async function mistakes(client, wrong) {
  const bitmap = await createImageBitmap(await client.figure("misread"))
  const width = bitmap.width / DRAWN_COLUMNS
  const rows = bitmap.height / (DRAWN_RATIO * width)
  if (Math.abs(rows - Math.round(rows)) > 0.05) {
    // Drawn in another way: the whole, along which a narrow screen moves.
    const whole = await drawing(client, "misread", "Misread test digits")
    return html("div", { class: "scroller", role: "region", tabindex: 0, "aria-label": "Misread test digits" }, whole)
  }
  const height = bitmap.height / Math.round(rows)
  const n = Math.min(wrong, DRAWN_COLUMNS * Math.round(rows))
  return html(
    "div",
    { class: "mistakes", role: "img", "aria-label": `${n} misread test digits: the truth, the answer, its probability` },
    ...Array.from({ length: n }, (_, i) => {
      const canvas = html("canvas", { class: "print", width: 1.5 * width, height: 1.5 * height })
      const [x, y] = [(i % DRAWN_COLUMNS) * width, Math.floor(i / DRAWN_COLUMNS) * height]
      canvas.getContext("2d").drawImage(bitmap, x, y, width, height, 0, 0, canvas.width, canvas.height)
      return canvas
    }),
  )
}

function card(title, told, ...content) {
  return html(
    "figure",
    {},
    html("figcaption", {}, html("h3", {}, title), html("p", { class: "quiet" }, told)),
    ...content,
  )
}

/**
 * The final phase of a fit, in which its augmentation is weaker: { first, strength }, the first of its epochs counted from
 * 0, or null. It is in the settings of the model, of which older files have other names.
 */
export function finalPhase({ settings, losses = [] }) {
  const schedule = settings?.schedule
  if (!schedule) return null
  const share = schedule.final_phase ?? schedule.averaging_phase ?? schedule.settling ?? 0
  const strength = schedule.final_strength ?? schedule.averaging_strength ?? schedule.settled ?? 1
  const first = schedule.epochs - Math.floor(share * schedule.epochs + 1e-9)
  return strength < 1 && first > 0 && first < losses.length ? { first, strength } : null
}

/** How the model was fitted, in sentences. */
function recipe({ settings, losses = [] }) {
  const { solver, batch_size: batch, learning_rate_init: rate } = settings?.estimator ?? {}
  if (!solver) return "The model file does not say how it was fitted."
  const steps = batch && batch !== "auto" ? `, a step for every ${batch} digits` : ""
  return (
    `Solver ${solver}${steps}${rate ? `, learning rate ${rate} at first` : ""}` +
    `${losses.length ? `, ${losses.length} epochs: passes over all training digits` : ""}.`
  )
}

/** The curves of the fit, from the description of the model. */
export function showLearned(element, model) {
  const { losses = [], validation_errors: errors = [] } = model.training
  const phase = finalPhase(model.training)
  byId("learned-lead").textContent = recipe(model.training)
  const cards = []
  if (losses.length > 1)
    cards.push(
      card(
        "Training loss",
        "The cost after each pass over all training digits." +
          (phase
            ? ` The cliff at epoch ${phase.first + 1} is no sudden insight: from there on the training digits are distorted ` +
              `less, with ${Math.round(100 * phase.strength)}\u00a0% of the augmentation, and are easier.`
            : ""),
        curve(losses, "Loss", (value) => String(Number(value.toPrecision(2))), phase),
      ),
    )
  if (errors.length > 1)
    cards.push(
      card(
        "Validation error",
        "Share misread of digits that were held out. These are never distorted, so that epochs can be compared. " +
          "If it rose while the loss fell, the network would learn by heart: overfitting.",
        curve(errors, "Validation error", (value) => `${Number((100 * value).toPrecision(2))} %`, phase),
      ),
    )
  element.replaceChildren(...(cards.length ? cards : [card("Nothing recorded", "The model file has no learning curve.")]))
}

/** What was measured, from the report. A model without a report shows that there is none. */
export async function showReport(element, client, model) {
  if (!model.report) {
    element.replaceChildren(card("Nothing measured", "There is no report on this model."))
    return
  }
  const cards = []
  try {
    const report = await client.report()
    const { test } = report
    cards.push(
      card(
        `Confusion matrix: ${test.wrong} of ${test.n.toLocaleString("en")} wrong`,
        "Row: what it was; column: what it was read as. What was read right is left blank.",
        confusion(test.confusion, model.classes),
      ),
    )
    const error = report.probabilities?.after_temperature?.expected_calibration_error
    cards.push(
      card(
        "Calibration",
        "If it says 90 %, it should be right nine times in ten: on the diagonal. " +
          (error === undefined ? "" : `On average it is off by ${decimal(100 * error)} percentage points.`),
        report.reliability
          ? calibration(report.reliability)
          : await drawing(client, "reliability", "Share that is right by confidence"),
      ),
    )
    const wide = card(
      "Its mistakes",
      "Test digits that it misreads: the truth, then the answer and its probability.",
      await mistakes(client, test.wrong),
    )
    wide.classList.add("wide")
    cards.push(wide)
  } catch (error) {
    cards.push(card("The report is not here", error.message))
  }
  element.replaceChildren(...cards)
}
