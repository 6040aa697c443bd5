// The colours of pictures. Hue means sign, and only sign: blue above zero, orange below, the ground at zero. What
// cannot be negative is a ramp from the ground to the ink.

const SIDE = 28

let theme = null

function triple(text) {
  const hex = text.trim().slice(1)
  return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16))
}

/** The colours of the style sheet, as [red, green, blue]. */
export function colours() {
  if (theme === null) {
    const style = getComputedStyle(document.documentElement)
    theme = Object.fromEntries(
      ["ground", "panel", "ink", "quiet", "line", "plus", "minus"].map((name) => [
        name,
        triple(style.getPropertyValue(`--${name}`)),
      ]),
    )
  }
  return theme
}

/** Calls back after the theme has changed, when pictures have to be painted anew. */
export function onThemeChange(repaint) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    theme = null
    repaint()
  })
}

export function css([red, green, blue], alpha = 1) {
  return `rgb(${red} ${green} ${blue} / ${alpha})`
}

function mixed(from, to, share) {
  return from.map((value, i) => Math.round(value + (to[i] - value) * share))
}

/** The colour of a value with a sign: full at `limit`. */
export function signedColour(value, limit) {
  const { panel, plus, minus } = colours()
  return mixed(panel, value < 0 ? minus : plus, Math.min(1, Math.abs(value) / limit))
}

/** The colour of a value from 0 to `limit`. */
export function plainColour(value, limit = 1) {
  const { panel, ink } = colours()
  return mixed(panel, ink, Math.min(1, Math.max(0, value / limit)))
}

/** The largest distance from zero among values. */
export function limitOf(values) {
  let limit = 1e-9
  for (const value of values) limit = Math.max(limit, Math.abs(value))
  return limit
}

/** What most values that are not zero lie below: the end of a scale that one large value does not stretch. */
export function percentile(values, share = 0.98) {
  const sorted = [...values].map(Math.abs).filter((value) => value > 0).sort((a, b) => a - b)
  return sorted.length === 0 ? 1 : sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
}

/** Each value as the mean of itself and its neighbours, for pictures that would be speckled. */
export function smoothed(values) {
  return values.map((_, at) => {
    const row = Math.floor(at / SIDE)
    const column = at % SIDE
    let sum = 0
    let n = 0
    for (let y = Math.max(0, row - 1); y <= Math.min(SIDE - 1, row + 1); y += 1) {
      for (let x = Math.max(0, column - 1); x <= Math.min(SIDE - 1, column + 1); x += 1) {
        sum += values[SIDE * y + x]
        n += 1
      }
    }
    return sum / n
  })
}

/** Fills a canvas with 28 x 28 values; `colour(value)` returns [red, green, blue]. */
export function paint(canvas, values, colour) {
  const image = new ImageData(SIDE, SIDE)
  for (let i = 0; i < values.length; i += 1) image.data.set([...colour(values[i]), 255], 4 * i)
  const small = new OffscreenCanvas(SIDE, SIDE)
  small.getContext("2d").putImageData(image, 0, 0)
  const context = canvas.getContext("2d")
  context.imageSmoothingEnabled = false
  context.drawImage(small, 0, 0, canvas.width, canvas.height)
}

/** Fills a canvas with values that have a sign. */
export function paintSigned(canvas, values, limit = limitOf(values)) {
  paint(canvas, values, (value) => signedColour(value, limit))
}

/** Gives a canvas as many pixels as it has on the screen, and returns its context in CSS pixels. */
export function sharpen(canvas, width, height) {
  const ratio = devicePixelRatio || 1
  canvas.width = Math.round(width * ratio)
  canvas.height = Math.round(height * ratio)
  const context = canvas.getContext("2d")
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  return context
}

/** Fills a canvas with values that have a sign, over the ink that they belong to. */
export function paintOverInk(canvas, values, ink, limit) {
  const { panel, ink: dark } = colours()
  let at = -1
  paint(canvas, values, (value) => {
    at += 1
    const ground = mixed(panel, dark, 0.12 * ink[at])
    const { plus, minus } = colours()
    return mixed(ground, value < 0 ? minus : plus, Math.min(1, Math.abs(value) / limit) ** 0.7)
  })
}
