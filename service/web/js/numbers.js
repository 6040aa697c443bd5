// Several digits: the picture with a box around each, and the list of them. One can be taken through the explanation.

import { css, sharpen } from "./colour.js"
import { byId, html } from "./element.js"
import { article, percent } from "./words.js"

// What is left around a digit when it is cut out, as a share of its longer side.
const MARGIN = 0.3
const MOST_SIDE = 560
const MOST_SHOWN = 520

/** All digits of a reading of /read, in order, with the number of their line. */
export function digitsOf({ lines }) {
  return lines.flatMap((line, at) => line.digits.map((digit) => ({ ...digit, line: at })))
}

/** The median colour of the outermost pixels of a picture. */
function paperOf(context, width, height) {
  const { data } = context.getImageData(0, 0, width, height)
  const channels = [[], [], []]
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += y === 0 || y === height - 1 ? 1 : Math.max(1, width - 1)) {
      for (let k = 0; k < 3; k += 1) channels[k].push(data[4 * (y * width + x) + k])
    }
  }
  return channels.map((values) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)])
}

/**
 * One digit cut out of a picture, as a canvas. Boxes are top, left, bottom, right in pixels of `size`, height and width.
 * What belongs to other boxes is painted over with the colour of the paper.
 */
export function cutOut(picture, size, boxes, chosen) {
  const scale = picture.width / size[1]
  const [top, left, bottom, right] = boxes[chosen].map((value) => value * scale)
  const margin = MARGIN * Math.max(bottom - top, right - left)
  const [x, y] = [left - margin, top - margin]
  const [w, h] = [right - left + 2 * margin, bottom - top + 2 * margin]
  const shrink = Math.min(1, MOST_SIDE / Math.max(w, h))
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(w * shrink)), Math.max(1, Math.round(h * shrink)))
  const context = canvas.getContext("2d", { willReadFrequently: true })
  const source = new OffscreenCanvas(picture.width, picture.height)
  const whole = source.getContext("2d", { willReadFrequently: true })
  whole.drawImage(picture, 0, 0)
  const paper = css(paperOf(whole, picture.width, picture.height))
  boxes.forEach((box, at) => {
    if (at === chosen) return
    const [up, west, down, east] = box.map((value) => value * scale)
    whole.fillStyle = paper
    // A little more, for the soft edge of ink, but nothing of the chosen one.
    const grown = [west - 2, up - 2, east + 2, down + 2]
    whole.fillRect(grown[0], grown[1], grown[2] - grown[0], grown[3] - grown[1])
  })
  // The chosen digit's own box is as it was, also where another one reaches into it.
  whole.drawImage(picture, left, top, right - left, bottom - top, left, top, right - left, bottom - top)
  context.fillStyle = paper
  context.fillRect(0, 0, canvas.width, canvas.height)
  context.drawImage(source, x, y, w, h, 0, 0, canvas.width, canvas.height)
  return canvas
}

/** Returns { show(found, picture, chosen), compare(digit), hide(), repaint() }; `picked(i)` is called for a digit that is chosen. */
export function makeNumbers(picked) {
  const section = byId("numbers")
  const holder = byId("numbers-picture")
  const canvas = holder.querySelector("canvas")
  const list = byId("numbers-list")
  let shown = null

  function paint() {
    if (!shown || section.hidden) return
    const { picture, found, digits, chosen } = shown
    const width = Math.min(holder.clientWidth, MOST_SHOWN)
    if (!width) return
    const height = (width * picture.height) / picture.width
    const context = sharpen(canvas, width, height)
    canvas.style.width = `${width}px`
    canvas.style.height = `${height}px`
    context.drawImage(picture, 0, 0, width, height)
    const scale = width / found.picture_size[1]
    digits.forEach(({ box: [top, left, bottom, right] }, i) => {
      // Seen on any ground: a dark line in a light one.
      for (const [colour, line] of [
        ["#fff", i === chosen ? 7 : 4],
        ["#000", i === chosen ? 4 : 1.5],
      ]) {
        context.strokeStyle = colour
        context.lineWidth = line
        context.strokeRect(left * scale - 3, top * scale - 3, (right - left) * scale + 6, (bottom - top) * scale + 6)
      }
    })
  }

  canvas.addEventListener("click", (event) => {
    if (!shown) return
    const area = canvas.getBoundingClientRect()
    const scale = shown.found.picture_size[1] / area.width
    const [x, y] = [(event.clientX - area.left) * scale, (event.clientY - area.top) * scale]
    const inside = ({ box: [top, left, bottom, right] }) => x >= left && x <= right && y >= top && y <= bottom
    const i = shown.digits.findIndex(inside)
    if (i >= 0) picked(i)
  })
  new ResizeObserver(paint).observe(holder)

  return {
    repaint: paint,
    show(found, picture, chosen) {
      const digits = digitsOf(found)
      shown = { found, picture, digits, chosen }
      section.hidden = false
      const hadFocus = list.contains(document.activeElement)
      list.replaceChildren(
        ...digits.map((digit, i) =>
          html(
            "li",
            {},
            html(
              "button",
              { type: "button", "aria-pressed": String(i === chosen), onclick: () => picked(i) },
              html("b", {}, String(digit.digit)),
              html("span", {}, percent(digit.confidence)),
            ),
          ),
        ),
      )
      if (hadFocus) list.children[chosen]?.querySelector("button").focus()
      const doubtful = digits.filter((digit) => digit.verdict !== "clear").length
      byId("numbers-told").textContent =
        `The whole text is right with probability ${percent(found.confidence)}, says POST /read: its verdict is ${found.verdict}.` +
        (doubtful ? ` Of the digits, ${doubtful} ${doubtful === 1 ? "is" : "are"} not clear.` : "") +
        (found.reason ? ` ${found.reason}` : "")
      paint()
    },
    /** Tells what the service says of the digit that was cut out, where it is another one. */
    compare(digit) {
      if (!shown || digit === shown.digits[shown.chosen].digit) return
      byId("numbers-told").textContent +=
        ` Cut out and sent alone, this one is read as ${article(digit)} ${digit}: that is what is explained below.`
    },
    hide() {
      shown = null
      section.hidden = true
    },
  }
}
