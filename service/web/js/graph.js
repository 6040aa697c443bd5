// The network as it is drawn: nodes, and edges that are contributions. The strongest paths of the picture are in view,
// and a pointer, a tap or the keyboard traces the one through a node.

import { paint, percentile, plainColour } from "./colour.js"
import { html, svg } from "./element.js"
import { findPaths } from "./paths.js"
import { descending } from "./ranks.js"
import { activationName, added, decimal, percent, signed } from "./words.js"

const SIDE = 28
const ROW = 44
const [HEAD, NARROW_HEAD] = [56, 34]
const NARROW = 560
const LISTED = 4
// Milliseconds for which pulses run along the edges after the pen has moved.
const FLOW = 1400
// Weaker edges, as a share of the strongest of their layer, are left out.
const FAINTEST = 0.05
const PULSED = 0.3

const key = (layer, unit) => `${layer} ${unit}`

/** Returns { show(reading), flow(), clear() } for an element with the drawing and one with the numbers of a node. */
export function makeGraph(element, trace, { weights, model, picked, told }) {
  const input = html("canvas", { width: 112, height: 112, role: "img", "aria-label": "Input a(0), 28 by 28 pixels" })
  let reading = null
  let paths = null
  let drawing = null
  let pinned = null
  let flowing = null

  const last = model.layers.length - 1
  const layerName = (layer) => (layer === last ? "z" : `a(${layer + 1})`)
  const nameOf = (layer, unit) =>
    layer < 0
      ? `pixel ${Math.floor(unit / SIDE) + 1}, ${(unit % SIDE) + 1}`
      : layer === last
        ? `logit of ${classOf(unit)}`
        : `unit ${unit} of ${layerName(layer)}`
  const classOf = (unit) => reading.classes[reading.single ? 1 : unit]
  const into = (layer, unit) => paths.edges.filter((edge) => edge.layer === layer && edge.to === unit)
  const outOf = (layer, unit) => paths.edges.filter((edge) => edge.layer === layer + 1 && edge.from === unit)
  // The edge that raises what it leads to most: a path of such edges speaks for its end.
  const raising = (edges) => edges.reduce((one, other) => (other.value > one.value ? other : one))

  function place() {
    const width = element.clientWidth
    const narrow = width < NARROW
    const side = narrow ? 76 : Math.min(196, width * 0.26)
    const rows = Math.max(...paths.layers.map((nodes) => nodes.length), 6)
    const head = narrow ? NARROW_HEAD : HEAD
    const height = head + rows * ROW
    const right = width - (narrow ? 22 : 92)
    const nodeWidth = narrow ? 36 : 52
    const places = new Map()
    paths.layers.forEach((nodes, layer) => {
      const x = side + ((right - side) * (layer + 1)) / paths.layers.length
      nodes.forEach(({ unit }, at) =>
        places.set(key(layer, unit), [x, head + ((rows * ROW) / nodes.length) * (at + 0.5)]),
      )
    })
    const top = head + (rows * ROW - side) / 2
    const pixel = (i) => [((i % SIDE) + 0.5) * (side / SIDE), top + (Math.floor(i / SIDE) + 0.5) * (side / SIDE)]
    return { width, height, narrow, side, top, nodeWidth, places, pixel }
  }

  function curve([x, y], [toX, toY]) {
    const middle = (x + toX) / 2
    return `M${x.toFixed(1)} ${y.toFixed(1)}C${middle.toFixed(1)} ${y.toFixed(1)} ${middle.toFixed(1)} ${toY.toFixed(1)} ${toX.toFixed(1)} ${toY.toFixed(1)}`
  }

  function draw() {
    if (!paths || !element.clientWidth) return
    const { width, height, narrow, side, top, nodeWidth, places, pixel } = place()
    const drawn = { edges: [], nodes: new Map() }
    const lines = []
    const pulses = []
    paths.layers.forEach((_, layer) => {
      const edges = paths.edges.filter((edge) => edge.layer === layer)
      const most = Math.max(1e-9, ...edges.map(({ value }) => Math.abs(value)))
      for (const edge of edges) {
        const share = Math.abs(edge.value) / most
        if (share < FAINTEST) continue
        const [toX, toY] = places.get(key(layer, edge.to))
        const [x, y] = layer === 0 ? pixel(edge.from) : places.get(key(layer - 1, edge.from))
        const d = curve([layer === 0 ? x : x + nodeWidth / 2, y], [toX - nodeWidth / 2, toY])
        const line = svg("path", {
          class: `edge ${edge.value < 0 ? "minus" : "plus"}`,
          d,
          // Lines from pixels would hide the picture.
          "stroke-width": ((layer === 0 ? 0.4 : 1) * (0.5 + 4.5 * share)).toFixed(2),
          "--share": share.toFixed(3),
        })
        lines.push([share, line])
        drawn.edges.push([edge, line])
        if (share > PULSED) pulses.push(svg("path", { class: "pulse", d, "--layer": layer }))
      }
    })
    lines.sort(([one], [other]) => one - other)

    const nodes = []
    const heads = []
    const head = (x, name, count, anchor = "middle") => {
      heads.push(svg("text", { class: "layer", x, y: 18, "text-anchor": anchor }, name))
      if (!narrow) heads.push(svg("text", { class: "count", x, y: 40, "text-anchor": anchor }, count))
    }
    head(0, "a(0)", `${reading.input.length} pixels`, "start")
    paths.layers.forEach((all, layer) => {
      const limit = layer === last ? 1 : percentile(reading.hidden[layer])
      const [x] = places.get(key(layer, all[0].unit))
      head(
        x,
        layerName(layer),
        layer === last ? `${all.length === 1 ? "logit" : "logits"}` : `${model.layers[layer].n_out.toLocaleString("en")} units`,
      )
      all.forEach(({ unit, value }) => {
        const [, y] = places.get(key(layer, unit))
        const isAnswer = layer === last && (reading.single ? reading.index === 1 : unit === reading.index)
        const share = layer === last ? 0 : Math.min(1, Math.abs(value) / limit)
        const group = svg(
          "g",
          {
            class: `node${isAnswer ? " answer-node" : ""}`,
            role: "button",
            tabindex: -1,
            "aria-label": `${nameOf(layer, unit)}: ${layer === last ? signed(value) : decimal(value)}`,
            "aria-pressed": "false",
            "data-layer": layer,
            "data-unit": unit,
            "--share": share.toFixed(3),
          },
          // The target of a finger, larger than what is drawn.
          svg("rect", { class: "target", x: x - nodeWidth / 2 - 4, y: y - ROW / 2, width: nodeWidth + 8, height: ROW }),
          svg("rect", { class: "body", x: x - nodeWidth / 2, y: y - 15, width: nodeWidth, height: 30, rx: 8 }),
          svg(
            "text",
            { x, y: y + 6, "text-anchor": "middle" },
            layer === last ? String(classOf(unit)) : String(unit),
          ),
        )
        if (layer === last && !narrow)
          group.append(svg("text", { class: "value", x: x + nodeWidth / 2 + 8, y: y + 6 }, signed(value)))
        drawn.nodes.set(key(layer, unit), group)
        nodes.push(group)
      })
    })
    const picture = svg(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": "The network, with its strongest paths" },
      ...heads,
      ...lines.map(([, line]) => line),
      ...pulses,
      ...nodes,
    )
    input.style.width = `${side}px`
    input.style.height = `${side}px`
    input.style.top = `${top}px`
    paint(input, reading.input, (share) => plainColour(share))
    const hadFocus = element.contains(document.activeElement) ? document.activeElement.dataset : null
    element.replaceChildren(input, picture)
    drawing = drawn
    rove(pinned ?? start())
    follow(pinned)
    if (hadFocus?.unit) drawn.nodes.get(key(hadFocus.layer, hadFocus.unit))?.focus()
  }

  /** The node that a keyboard comes to first: the answer's. */
  const start = () => ({ layer: last, unit: reading.single ? 0 : reading.index })

  /** One node can be reached by Tab; arrow keys lead to the others. */
  function rove({ layer, unit }) {
    for (const [name, group] of drawing.nodes) group.setAttribute("tabindex", name === key(layer, unit) ? 0 : -1)
  }

  /** The edges of a node, and from it in both directions the edges that raise most. */
  function through({ layer, unit }) {
    const shown = new Set([...into(layer, unit), ...outOf(layer, unit)])
    for (let [at, node] = [layer, unit]; at >= 0; ) {
      const edges = into(at, node)
      if (edges.length === 0) break
      const edge = raising(edges)
      shown.add(edge)
      at -= 1
      node = edge.from
    }
    for (let [at, node] = [layer, unit]; at < last; ) {
      const edges = outOf(at, node)
      if (edges.length === 0) break
      const edge = raising(edges)
      shown.add(edge)
      at += 1
      node = edge.to
    }
    return shown
  }

  /** Shows the path through a node, or all paths. */
  function follow(node) {
    const shown = node && through(node)
    element.classList.toggle("traced", Boolean(node))
    for (const [edge, line] of drawing.edges) line.classList.toggle("on", Boolean(shown?.has(edge)))
    for (const [name, group] of drawing.nodes) {
      const isNode = Boolean(node) && name === key(node.layer, node.unit)
      group.classList.toggle("on", isNode)
      group.setAttribute("aria-pressed", String(isNode && pinned !== null && name === key(pinned.layer, pinned.unit)))
    }
    describe(node)
  }

  const listOf = (edges, end) =>
    html(
      "ul",
      {},
      ...descending(edges.map(({ value }) => Math.abs(value)))
        .slice(0, LISTED)
        .map((at) => {
          const { value, weight, input: output } = edges[at]
          return html("li", {}, html("span", {}, end(edges[at])), ` ${decimal(output)} × ${signed(weight, 3)} = `, html("b", {}, signed(value)))
        }),
    )

  /** The path that raises the answer most: from a pixel, which is of layer -1, to the logit. */
  function best() {
    const path = [start()]
    while (path[0].layer >= 0) {
      const edges = into(path[0].layer, path[0].unit)
      if (edges.length === 0) break
      path.unshift({ layer: path[0].layer - 1, unit: raising(edges).from })
    }
    return path
  }

  function describe(node) {
    if (!node) {
      const steps = best().map(({ layer, unit }) => nameOf(layer, unit))
      trace.replaceChildren(
        html("p", {}, html("b", {}, "The path that raises the answer most: "), steps.join(" → "), "."),
        html("p", { class: "quiet" }, "Point at a node, tap it or use the arrow keys to trace the path through it."),
      )
      return
    }
    const { layer, unit } = node
    const { value, z, bias } = paths.layers[layer].find((one) => one.unit === unit)
    const from = layer === 0 ? "a(0)" : layerName(layer - 1)
    const name = nameOf(layer, unit)
    const parts = [
      html("h3", {}, name[0].toUpperCase() + name.slice(1)),
      html(
        "p",
        { class: "equation" },
        `z = Σ ${from} · w + b = ${decimal(z - bias)} ${added(bias)} = ${decimal(z)}`,
        layer === last
          ? ""
          : html("span", {}, `a = ${activationName(model.layers[layer].activation)}(${decimal(z)}) = ${decimal(value)}`),
      ),
      html("p", {}, `Its largest contributions, output × weight, from ${layer === 0 ? "pixels" : "the units shown"}` +
        (layer === last && !reading.single ? ", less the mean over the classes:" : ":")),
      listOf(into(layer, unit), (edge) => nameOf(layer - 1, edge.from)),
    ]
    if (layer === last)
      parts.push(
        html("p", {}, `Probability: ${percent(reading.answer.probabilities[reading.single ? 1 : unit])}, by the ${reading.single ? "sigmoid" : "softmax"} below.`),
      )
    else {
      parts.push(html("p", {}, "It leads to:"), listOf(outOf(layer, unit), (edge) => nameOf(layer + 1, edge.to)))
      parts.push(html("button", { type: "button", onclick: () => picked(layer, unit) }, "All of its weights"))
    }
    trace.replaceChildren(...parts)
  }

  const nodeOf = (event) => {
    const group = event.target.closest?.(".node")
    return group ? { layer: Number(group.dataset.layer), unit: Number(group.dataset.unit) } : null
  }
  const isSame = (one, other) => one !== null && other !== null && key(one.layer, one.unit) === key(other.layer, other.unit)

  function pin(node) {
    pinned = isSame(node, pinned) ? null : node
    if (node) rove(node)
    follow(pinned)
  }

  /** The node that an arrow key leads to: the next in the layer, or the nearest in height of a layer beside. */
  function neighbour({ layer, unit }, name) {
    const nodes = paths.layers[layer]
    const at = nodes.findIndex((one) => one.unit === unit)
    if (name === "ArrowUp" || name === "ArrowDown") {
      const next = nodes[at + (name === "ArrowDown" ? 1 : -1)]
      return next && { layer, unit: next.unit }
    }
    const beside = layer + (name === "ArrowRight" ? 1 : -1)
    const others = paths.layers[beside]
    if (!others) return null
    return { layer: beside, unit: others[Math.min(others.length - 1, Math.floor(((at + 0.5) / nodes.length) * others.length))].unit }
  }

  element.addEventListener("pointerover", (event) => {
    if (event.pointerType !== "mouse" || !drawing) return
    follow(nodeOf(event) ?? pinned)
  })
  element.addEventListener("pointerleave", () => drawing && follow(pinned))
  element.addEventListener("click", (event) => {
    const node = drawing && nodeOf(event)
    if (node) pin(node)
  })
  element.addEventListener("focusin", (event) => {
    const node = drawing && nodeOf(event)
    // A tap focuses as well, and is told apart by its click.
    if (node && event.target.matches(":focus-visible")) follow(node)
  })
  element.addEventListener("focusout", () => drawing && follow(pinned))
  element.addEventListener("keydown", (event) => {
    const node = drawing && nodeOf(event)
    if (!node) return
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault()
      pin(node)
      follow(pinned ?? node)
    } else if (event.key.startsWith("Arrow")) {
      event.preventDefault()
      const next = neighbour(node, event.key)
      if (!next) return
      rove(next)
      drawing.nodes.get(key(next.layer, next.unit)).focus()
      follow(next)
    }
  })
  let width = 0
  new ResizeObserver(() => {
    if (element.clientWidth !== width) draw()
    width = element.clientWidth
  }).observe(element)

  function clear() {
    reading = null
    paths = null
    drawing = null
    pinned = null
    element.replaceChildren()
    trace.replaceChildren()
  }

  return {
    clear,
    repaint: draw,
    /** The unit of the first hidden layer on the path that raises the answer most, or null. */
    example: () => (drawing ? (best().find(({ layer }) => layer === 0)?.unit ?? null) : null),
    /** Shows a reading; weights that are missing are fetched first. */
    async show(newReading) {
      reading = newReading
      drawing = null
      const found = await findPaths(newReading, weights)
      if (reading !== newReading) return
      paths = found
      pinned = null
      told.textContent =
        newReading.hidden.length === 0
          ? ""
          : "Of each hidden layer the units are shown that contribute most to the answer; all are in the next chapter. " +
            (newReading.single
              ? ""
              : "Of edges to logits the mean over the classes is left out: the softmax does not see what all have in common.")
      draw()
    },
    /** The pen has moved: pulses run along the edges for a while, where motion is wanted. */
    flow() {
      element.classList.add("flowing")
      clearTimeout(flowing)
      flowing = setTimeout(() => element.classList.remove("flowing"), FLOW)
    },
  }
}
