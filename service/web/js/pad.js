// The pad: strokes that a pointer or the arrow keys draw. It knows nothing of the network.
//
// A stroke is { width, points }, each point [x, y, pressure], all in shares of the pad's side, so that it can be drawn
// at any size. What is sent is black on white, whatever the theme.

import { colours, css, sharpen } from "./colour.js"

const SENT_SIDE = 280
const STEP = 0.03
const SMALL_STEP = 0.008

/** Points between the given ones, on a smooth curve through them (Catmull and Rom). */
export function smooth(points, perPiece = 8) {
  const at = (i) => points[Math.min(points.length - 1, Math.max(0, i))]
  const curve = []
  for (let i = 0; i < points.length - 1; i += 1) {
    const [p, q, r, s] = [at(i - 1), at(i), at(i + 1), at(i + 2)]
    for (let step = 0; step < perPiece; step += 1) {
      const t = step / perPiece
      curve.push(
        q.map(
          (_, k) =>
            0.5 *
            (2 * q[k] +
              (r[k] - p[k]) * t +
              (2 * p[k] - 5 * q[k] + 4 * r[k] - s[k]) * t * t +
              (3 * q[k] - p[k] - 3 * r[k] + s[k]) * t ** 3),
        ),
      )
    }
  }
  return [...curve, points.at(-1)]
}

/** How far the pen went, in shares of the pad's side. */
export function length(strokes) {
  let all = 0
  for (const { points } of strokes) {
    for (let i = 1; i < points.length; i += 1)
      all += Math.hypot(points[i][0] - points[i - 1][0], points[i][1] - points[i - 1][1])
  }
  return all
}

/** Draws strokes into a context of so many pixels a side. */
function inkOn(context, strokes, side) {
  context.lineCap = context.lineJoin = "round"
  for (const { width, points } of strokes) {
    const [x, y, pressure] = points[0]
    context.lineWidth = Math.max(1, width * pressure * side)
    context.beginPath()
    context.moveTo(x * side, y * side)
    // A dot is a line to where it begins.
    context.lineTo(x * side, y * side)
    for (let i = 1; i < points.length; i += 1) {
      const [from, to] = [points[i - 1], points[i]]
      if (to[2] !== from[2]) {
        context.stroke()
        context.beginPath()
        context.moveTo(from[0] * side, from[1] * side)
        context.lineWidth = Math.max(1, width * to[2] * side)
      }
      context.lineTo(to[0] * side, to[1] * side)
    }
    context.stroke()
  }
}

/** The drawing as it is sent: a canvas with black ink on white. */
export function blackOnWhite(strokes, side = SENT_SIDE) {
  const canvas = new OffscreenCanvas(side, side)
  const context = canvas.getContext("2d")
  context.fillStyle = "white"
  context.fillRect(0, 0, side, side)
  context.strokeStyle = "black"
  inkOn(context, strokes, side)
  return canvas
}

/** Only pens tell how hard they press: a mouse always says one half, and some fingers anything. */
function pressureOf(event) {
  return event.pointerType === "pen" && event.pressure > 0 ? 0.4 + 1.2 * event.pressure : 1
}

/** The pad on a canvas. `touched()` is called before anything is drawn, `changed(lifted)` after. */
export function makePad(canvas, { touched, changed, width }) {
  let strokes = []
  let current = null
  let picture = null
  let cursor = null

  function repaint() {
    const side = canvas.clientWidth
    const context = sharpen(canvas, side, side)
    if (picture) {
      const scale = Math.min(side / picture.width, side / picture.height)
      const [w, h] = [picture.width * scale, picture.height * scale]
      context.drawImage(picture, (side - w) / 2, (side - h) / 2, w, h)
    }
    context.strokeStyle = css(colours().ink)
    inkOn(context, strokes, side)
    if (cursor) {
      context.beginPath()
      context.lineWidth = 2
      context.strokeStyle = css(colours().quiet)
      context.arc(cursor.x * side, cursor.y * side, cursor.down ? 5 : 9, 0, 2 * Math.PI)
      context.stroke()
    }
  }

  function begin(point) {
    touched()
    picture = null
    current = { width: width(), points: [point] }
    strokes.push(current)
    repaint()
  }

  function pointOf(event) {
    const box = canvas.getBoundingClientRect()
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, pressureOf(event)]
  }

  function end() {
    if (!current) return
    current = null
    changed(true)
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button !== 0) return
    canvas.setPointerCapture(event.pointerId)
    cursor = null
    begin(pointOf(event))
    changed(false)
  })
  canvas.addEventListener("pointermove", (event) => {
    if (!event.isPrimary || !current || cursor?.down) return
    // Browsers merge moves between two frames, and tell all of them only on secure pages.
    const events = event.getCoalescedEvents?.() ?? []
    current.points.push(...(events.length ? events : [event]).map(pointOf))
    repaint()
    changed(false)
  })
  canvas.addEventListener("pointerup", end)
  canvas.addEventListener("pointercancel", end)
  // Else iOS shows its loupe after a double tap.
  canvas.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false })

  canvas.addEventListener("keydown", (event) => {
    const step = event.shiftKey ? SMALL_STEP : STEP
    const move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key]
    if (!move && event.key !== " ") return
    event.preventDefault()
    cursor ??= { x: 0.5, y: 0.3, down: false }
    if (move) {
      cursor.x = Math.min(1, Math.max(0, cursor.x + move[0]))
      cursor.y = Math.min(1, Math.max(0, cursor.y + move[1]))
      if (cursor.down) {
        current.points.push([cursor.x, cursor.y, 1])
        changed(false)
      }
    } else if (cursor.down) {
      cursor.down = false
      end()
    } else {
      cursor.down = true
      begin([cursor.x, cursor.y, 1])
    }
    repaint()
  })
  canvas.addEventListener("blur", () => {
    if (cursor?.down) end()
    cursor = null
    repaint()
  })
  new ResizeObserver(repaint).observe(canvas)

  return {
    repaint,
    strokes: () => strokes,
    /** Replaces everything by strokes. */
    draw(newStrokes) {
      strokes = newStrokes
      picture = null
      repaint()
    },
    /** Replaces everything by a picture, or by nothing where it is null. */
    place(newPicture) {
      strokes = []
      picture = newPicture
      repaint()
    },
    undo() {
      picture = null
      strokes = strokes.slice(0, -1)
      repaint()
    },
  }
}
