// The chapter on ten points: the plane with its decision regions, buttons that take steps, and what these did.

import { byId, html, svg } from "./element.js"
import {
  LEARNING_RATE,
  POINTS,
  TARGETS,
  cost,
  forward,
  initial,
  nRight,
  random,
  slope,
  step,
} from "./higham.js"
import { mark, paintField } from "./plane.js"
import { decimal, short, signed } from "./words.js"

// A start from which the points are learned sooner than from most.
const FIRST_SEED = 3
const GRID = 60
const PER_FRAME = 400
const ALL = 60_000
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [340, 180, 46, 30]

const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches
const vector = (values, format) => `(${values.map((value) => format(value)).join(", ")})`

/** Fills the chapter. Returns { repaint }. */
export function showPoints() {
  const canvas = byId("plane")
  let seed = FIRST_SEED
  let draw = null
  let parameters = null
  let steps = 0
  let costs = []
  let last = null
  let running = null

  function start() {
    stop()
    draw = random(seed)
    parameters = initial(draw)
    steps = 0
    last = null
    costs = [[0, cost(parameters)]]
    render()
  }

  /** Takes so many steps, each with a point drawn at random; the last one is told about. */
  function advance(n) {
    for (let i = 0; i < n; i += 1) {
      const k = Math.floor(POINTS.length * draw())
      const before = i === n - 1 ? forward(parameters, POINTS[k]).at(-1) : null
      const { deltas } = step(parameters, k)
      if (before) last = { k, output: before, deltas }
    }
    steps += n
    costs.push([steps, cost(parameters)])
    render()
  }

  function stop() {
    cancelAnimationFrame(running)
    running = null
    byId("points-run").textContent = "Run"
  }

  function run() {
    if (running !== null) return stop()
    const until = steps + ALL
    if (still()) {
      while (steps < until && !(nRight(parameters) === POINTS.length && costs.at(-1)[1] < 0.01)) advance(2000)
      return undefined
    }
    byId("points-run").textContent = "Pause"
    const frame = () => {
      advance(PER_FRAME)
      if (steps >= until) stop()
      else running = requestAnimationFrame(frame)
    }
    running = requestAnimationFrame(frame)
    return undefined
  }

  function paintPlane() {
    const side = canvas.clientWidth
    if (!side) return
    const valueAt = (column, row) => {
      const [first, second] = forward(parameters, [(column + 0.5) / GRID, 1 - (row + 0.5) / GRID]).at(-1)
      return first - second
    }
    const context = paintField(canvas, [side, side], GRID, valueAt, [0.12, 0.4])
    context.lineWidth = 3
    POINTS.forEach(([x, y], k) => {
      const [left, top, r] = [x * side, (1 - y) * side, 7]
      mark(context, left, top, r, !TARGETS[k][0])
      if (last?.k !== k) return
      context.beginPath()
      context.arc(left, top, r + 7, 0, 2 * Math.PI)
      context.setLineDash([3, 3])
      context.stroke()
      context.setLineDash([])
    })
  }

  function curve() {
    const most = Math.max(1000, steps)
    const top = Math.max(...costs.map(([, value]) => value))
    const x = (n) => LEFT + ((WIDTH - LEFT - 4) * n) / most
    const y = (value) => 10 + (HEIGHT - BOTTOM - 10) * (1 - value / top)
    return svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Cost by steps: now ${decimal(costs.at(-1)[1], 3)}` },
      ...[0, top].flatMap((value) => [
        svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value) }),
        svg("text", { x: LEFT - 8, y: y(value) + 5, "text-anchor": "end" }, decimal(value)),
      ]),
      svg("polyline", { class: "curve", points: costs.map(([n, value]) => `${x(n)},${y(value)}`).join(" ") }),
      svg("text", { x: LEFT, y: HEIGHT - 6 }, "0 steps"),
      svg("text", { x: WIDTH, y: HEIGHT - 6, "text-anchor": "end" }, most.toLocaleString("en")),
    )
  }

  function render() {
    paintPlane()
    const rows = [
      ["steps", steps.toLocaleString("en")],
      ["cost C", decimal(costs.at(-1)[1], 4)],
      ["length of the gradient ∇C", short(slope(parameters))],
      ["right", `${nRight(parameters)} of ${POINTS.length}`],
    ]
    byId("points-figures").replaceChildren(
      ...rows.flatMap(([name, value]) => [html("dt", {}, name), html("dd", {}, value)]),
    )
    byId("points-curve").replaceChildren(curve())
    byId("points-told").textContent = last
      ? `Last step: the point ${vector(POINTS[last.k], (v) => decimal(v, 1))}, ringed, y = ${vector(TARGETS[last.k], String)}. ` +
        `Forward: F(x) = ${vector(last.output, decimal)}. Backward: δ[4] = ${vector(last.deltas[2], (v) => signed(v, 3))}, ` +
        `δ[3] = ${vector(last.deltas[1], (v) => signed(v, 4))}, δ[2] = ${vector(last.deltas[0], (v) => signed(v, 5))}. ` +
        `Every parameter moved by −${LEARNING_RATE} times its slope.`
      : "The parameters are random: nothing is learned yet. The cost of answering ½ to everything is 0.25."
  }

  byId("points-step").addEventListener("click", () => {
    stop()
    advance(1)
  })
  byId("points-many").addEventListener("click", () => {
    stop()
    for (let i = 0; i < 10; i += 1) advance(100)
  })
  byId("points-run").addEventListener("click", run)
  byId("points-again").addEventListener("click", () => {
    seed += 1
    start()
  })
  new ResizeObserver(paintPlane).observe(canvas)
  start()
  return { repaint: render }
}

