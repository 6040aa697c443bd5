// What the network sees: the picture as received, the 28 x 28 numbers made of it, and which of them mattered.

import { colours, css, limitOf, paintOverInk, paint, plainColour } from "./colour.js"
import { byId } from "./element.js"
import { decimal, preparation, signed } from "./words.js"

const SIDE = 28

/** The picture that was sent, in a square, with the box in which ink was found. */
function showReceived(canvas, picture, normalization) {
  const context = canvas.getContext("2d")
  const { width, height } = canvas
  context.fillStyle = css(colours().panel)
  context.fillRect(0, 0, width, height)
  if (!picture) return
  const scale = Math.min(width / picture.width, height / picture.height)
  const [w, h] = [picture.width * scale, picture.height * scale]
  const [left, top] = [(width - w) / 2, (height - h) / 2]
  context.drawImage(picture, left, top, w, h)
  if (!normalization) return
  const {
    ink_box: [up, west, down, east],
    size: [rows, columns],
  } = normalization
  context.setLineDash([6, 5])
  context.lineWidth = 2
  // Seen on any ground: the same dashes, light between dark.
  for (const [colour, shift] of [
    ["#000", 0],
    ["#fff", 5.5],
  ]) {
    context.strokeStyle = colour
    context.lineDashOffset = shift
    context.strokeRect(
      left + (west / columns) * w - 3,
      top + (up / rows) * h - 3,
      ((east - west) / columns) * w + 6,
      ((down - up) / rows) * h + 6,
    )
  }
  context.setLineDash([])
}

/** Tells the value of the number under the pointer. */
function readOut(canvas, note, tell) {
  const usual = note.textContent
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect()
    const column = Math.floor((SIDE * (event.clientX - box.left)) / box.width)
    const row = Math.floor((SIDE * (event.clientY - box.top)) / box.height)
    if (Math.min(row, column) >= 0 && Math.max(row, column) < SIDE) note.textContent = tell(row, column) ?? usual
  })
  canvas.addEventListener("pointerleave", () => {
    note.textContent = usual
  })
}

/** Returns { show(reading, picture), clear() }. */
export function makeSight() {
  let shown = null
  const value = (name, format) => (row, column) =>
    shown && `Row ${row + 1}, column ${column + 1}: ${format(shown[name][SIDE * row + column])}`
  readOut(byId("seen"), byId("seen-note"), value("input", decimal))
  readOut(
    byId("relevance"),
    byId("relevance-note"),
    value("relevance", (x) => signed(x, 3)),
  )

  return {
    clear() {
      shown = null
      for (const id of ["received", "seen", "relevance"]) {
        const canvas = byId(id)
        canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height)
      }
      byId("received-note").textContent = ""
      byId("normalization").textContent = ""
    },
    show(reading, picture) {
      shown = reading
      showReceived(byId("received"), picture, reading.normalization)
      byId("received-note").textContent = picture
        ? `${picture.width} × ${picture.height} pixels${reading.normalization ? ", with the ink that was found." : ""}`
        : ""
      paint(byId("seen"), reading.input, (share) => plainColour(share))
      paintOverInk(byId("relevance"), reading.relevance, reading.input, limitOf(reading.relevance))
      byId("normalization").textContent = preparation(reading.normalization, picture?.width)
    },
  }
}
