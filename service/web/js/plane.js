// A plane with two classes: the field of what a network answers, and points as circles and crosses.

import { colours, css, sharpen, signedColour } from "./colour.js"

/**
 * Fills a canvas of this size with n x n values from -1 to 1, `valueAt(column, row)` with rows from the top. The hue is
 * the sign. It is faint, so that points stand out: `least`, and up to `span` more. Returns the context, to draw points.
 */
export function paintField(canvas, [width, height], n, valueAt, [least, span]) {
  const image = new ImageData(n, n)
  for (let i = 0; i < n * n; i += 1) {
    const value = valueAt(i % n, Math.floor(i / n))
    image.data.set([...signedColour(Math.sign(value) * (least + span * Math.abs(value)), 1), 255], 4 * i)
  }
  const small = new OffscreenCanvas(n, n)
  small.getContext("2d").putImageData(image, 0, 0)
  const context = sharpen(canvas, width, height)
  context.drawImage(small, 0, 0, width, height)
  context.strokeStyle = css(colours().ink)
  return context
}

/** Draws a point of radius r: a cross, or a circle. */
export function mark(context, x, y, r, isCross) {
  context.beginPath()
  if (isCross) {
    context.moveTo(x - r, y - r)
    context.lineTo(x + r, y + r)
    context.moveTo(x + r, y - r)
    context.lineTo(x - r, y + r)
  } else context.arc(x, y, r, 0, 2 * Math.PI)
  context.stroke()
}
