// The active units, and how they go into the effective weights.

import { colours, css, percentile, plainColour, sharpen } from "./colour.js"
import { decimal } from "./words.js"

const DURATION = 1500
const FALL = 0.55
const TILE = 11

const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches

/** Returns { show(reading), pour() } for the canvas of active units, which go into the items of a list. */
export function makePour(canvas, list) {
  let reading = null
  let frame = null

  function place(width) {
    const columns = Math.max(16, Math.floor(width / TILE))
    const tiles = []
    let row = 0
    for (const layer of reading.hidden) {
      const limit = percentile(layer)
      layer.forEach((value, unit) =>
        tiles.push({
          value: Math.min(1, Math.sqrt(Math.abs(value) / limit)),
          x: (unit % columns) * (width / columns),
          y: (row + Math.floor(unit / columns)) * TILE,
        }),
      )
      row += Math.ceil(layer.length / columns) + 1
    }
    return { tiles, height: Math.max(1, row - 1) * TILE, side: width / columns - 1 }
  }

  /** Draws the tiles; those that are lit have fallen by a share from 0 to 1 of their way. */
  function draw(share) {
    const width = canvas.clientWidth
    if (!width || !reading) return
    const { tiles, height, side } = place(width)
    const depth = share > 0 && share < 1 ? list.offsetTop + list.offsetHeight / 2 - canvas.offsetTop : height
    const context = sharpen(canvas, width, depth)
    canvas.style.height = `${depth}px`
    canvas.style.marginBottom = `${height - depth}px`
    const box = canvas.getBoundingClientRect()
    const goals = [...list.children].map((item) => {
      const goal = item.getBoundingClientRect()
      return [goal.left + goal.width / 2 - box.left, goal.top + 40 - box.top]
    })
    tiles.forEach(({ value, x, y }, i) => {
      context.fillStyle = css(plainColour(value))
      context.fillRect(x, y, side, TILE - 1)
      if (value === 0 || share <= 0 || share >= 1 || goals.length === 0) return
      // Each unit that is on belongs to all stencils; drawn is its way to one of them, each at its own time.
      const age = Math.min(1, Math.max(0, (share - (1 - FALL) * ((i * 0.618) % 1)) / FALL))
      if (age === 0 || age === 1) return
      const [goalX, goalY] = goals[i % goals.length]
      const ease = age * age * (3 - 2 * age)
      context.fillStyle = css(colours().ink, 0.25 + 0.75 * (1 - age) * value)
      const size = side * (1 - 0.5 * age)
      context.fillRect(x + (goalX - x) * age, y + (goalY - y) * ease * age, size, size)
    })
  }

  function settle(share) {
    list.style.setProperty("--poured", share)
    list.querySelectorAll("[data-score]").forEach((figure) => {
      figure.textContent = decimal(share * Number(figure.dataset.score))
    })
  }

  new ResizeObserver(() => draw(0)).observe(canvas.parentElement)

  return {
    clear() {
      cancelAnimationFrame(frame)
      reading = null
    },
    show(newReading) {
      cancelAnimationFrame(frame)
      reading = newReading
      draw(0)
      settle(1)
    },
    pour() {
      cancelAnimationFrame(frame)
      if (!reading || still()) return
      const start = performance.now()
      const step = (now) => {
        const share = Math.min(1, (now - start) / DURATION)
        draw(share)
        settle(share)
        if (share < 1) frame = requestAnimationFrame(step)
      }
      frame = requestAnimationFrame(step)
    },
  }
}
