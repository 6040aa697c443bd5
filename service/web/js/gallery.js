// The columns of coefs_[0] as pictures, a page at a time. The service draws them on one grey scale; here each picture
// becomes a button of its own.

import { html } from "./element.js"

const COLUMNS = 8
const [ROWS, FEWER_ROWS] = [4, 3]
const NARROW = "(max-width: 560px)"
const MAGNIFIED = 112
const GAP = 4
const SIDE = 56

/** Fills the gallery when it comes near; `picked(unit)` is called for a picture that is chosen. Returns { show }. */
export function makeGallery(element, { client, units, picked }) {
  const list = element.querySelector(".tiles")
  const where = element.querySelector(".where")
  // A phone has less room.
  const rows = matchMedia(NARROW).matches ? FEWER_ROWS : ROWS
  const page = rows * COLUMNS
  let first = 0

  function tile(bitmap, at) {
    const canvas = html("canvas", { width: SIDE, height: SIDE, "aria-hidden": "true" })
    const step = MAGNIFIED + GAP
    canvas
      .getContext("2d")
      .drawImage(bitmap, (at % COLUMNS) * step, Math.floor(at / COLUMNS) * step, MAGNIFIED, MAGNIFIED, 0, 0, SIDE, SIDE)
    const unit = first + at
    return html(
      "li",
      {},
      html(
        "button",
        { type: "button", "aria-label": `Unit ${unit}: its weights`, onclick: () => picked(unit) },
        canvas,
        html("span", { "aria-hidden": "true" }, String(unit)),
      ),
    )
  }

  async function show() {
    try {
      const bitmap = await createImageBitmap(await client.tiles(rows, COLUMNS, first))
      const shown = Math.min(page, units - first)
      list.replaceChildren(...Array.from({ length: shown }, (_, at) => tile(bitmap, at)))
      where.textContent = `units ${first} to ${first + shown - 1} of ${units.toLocaleString("en")}`
    } catch (error) {
      where.textContent = error.message
    }
  }

  function turn(step) {
    const last = Math.floor((units - 1) / page) * page
    const next = first + step * page
    first = next < 0 ? last : next > last ? 0 : next
    show()
  }

  for (const button of element.querySelectorAll("button[data-step]"))
    button.onclick = () => turn(Number(button.dataset.step))
  return { show }
}
