// The drawing that plays by itself when the page opens: a 4 that could have become a 9.

import { smooth } from "./pad.js"

const DURATION = 1700
export const WIDTH = 0.075
export const STROKES = [
  [
    [0.4, 0.17],
    [0.36, 0.3],
    [0.31, 0.44],
    [0.31, 0.53],
    [0.4, 0.56],
    [0.53, 0.54],
    [0.68, 0.5],
  ],
  [
    [0.68, 0.2],
    [0.66, 0.38],
    [0.63, 0.6],
    [0.61, 0.84],
  ],
]

/** Plays the example: `show(strokes)` while it grows, `done()` at its end. Returns what stops it. */
export function play({ show, done }) {
  const strokes = STROKES.map((points) => smooth(points))
  const total = strokes.reduce((sum, points) => sum + points.length, 0)
  let stopped = false
  const start = performance.now()

  function grown(share) {
    let left = Math.ceil(share * total)
    const shown = []
    for (const points of strokes) {
      if (left <= 0) break
      shown.push({ width: WIDTH, points: points.slice(0, left).map(([x, y]) => [x, y, 1]) })
      left -= points.length
    }
    return shown
  }

  function frame(now) {
    if (stopped) return
    const share = Math.min(1, (now - start) / DURATION)
    show(grown(share))
    if (share < 1) requestAnimationFrame(frame)
    else done()
  }

  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    show(grown(1))
    done()
  } else {
    requestAnimationFrame(frame)
  }
  return () => {
    stopped = true
  }
}
