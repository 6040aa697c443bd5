// What is said while the service is gone: that the drawing is kept, and when it is asked again.

import { byId } from "./element.js"

const FIRST = 2
const MOST = 30

/** Returns { on(), begin(reason, after), end() }; `retry()` is called when it is time, or when a person says so. */
export function makeTrouble(retry) {
  const box = byId("trouble")
  let pause = FIRST
  let ticking = null

  function go() {
    clearInterval(ticking)
    pause = Math.min(MOST, 2 * pause)
    retry()
  }

  box.querySelector("button").addEventListener("click", go)

  return {
    on: () => !box.hidden,
    begin(reason, after) {
      clearInterval(ticking)
      let left = after ?? pause
      const tick = () => {
        box.querySelector("span").textContent = `${reason} Your drawing is kept. Asking again in ${left} s.`
        if (left === 0) go()
        left -= 1
      }
      box.hidden = false
      tick()
      ticking = setInterval(tick, 1000)
      byId("status").textContent = `${reason} Your drawing is kept.`
    },
    end() {
      clearInterval(ticking)
      pause = FIRST
      box.hidden = true
    },
  }
}
