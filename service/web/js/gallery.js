// The weights of first-layer units as the service draws them, a page at a time.

const ROWS = 4
const COLUMNS = 8
const MAGNIFIED = 112
const GAP = 4

/** Fills the gallery when it is opened; `picked(unit)` is called for a picture that is clicked. */
export function makeGallery(element, { client, units, picked }) {
  const canvas = element.querySelector("canvas")
  const page = ROWS * COLUMNS
  let first = 0

  async function show() {
    const where = element.querySelector(".where")
    try {
      const bitmap = await createImageBitmap(await client.tiles(ROWS, COLUMNS, first))
      canvas.width = bitmap.width
      canvas.height = bitmap.height
      canvas.getContext("2d").drawImage(bitmap, 0, 0)
      where.textContent = `units ${first} to ${Math.min(units, first + page) - 1} of ${units.toLocaleString("en")}`
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

  element.ontoggle = () => element.open && show()
  for (const button of element.querySelectorAll("button")) button.onclick = () => turn(Number(button.dataset.step))
  canvas.onclick = (event) => {
    const box = canvas.getBoundingClientRect()
    const step = (MAGNIFIED + GAP) / canvas.width
    const column = Math.floor((event.clientX - box.left) / box.width / step)
    const row = Math.floor((event.clientY - box.top) / box.width / step)
    const unit = first + row * COLUMNS + column
    if (unit < units) picked(unit)
  }
}
