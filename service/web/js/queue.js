// Which question is asked next: one at a time, the newest wins, not too often. An urgent one overtakes that which is on its
// way, whose answer nobody waits for any more. Pure: time and asking come from outside.

/**
 * Returns { ask(question, urgent), drop() }.
 *
 * `answer(question)` returns a promise; what comes of it goes to `done(result, question)` or `failed(error, question)`,
 * unless all questions were dropped in between. Questions that are not urgent are `apart` milliseconds apart.
 */
export function makeQueue({ answer, done, failed, apart = 60, later = setTimeout }) {
  let waiting = null
  let busy = false
  let era = 0
  let turn = 0

  async function next() {
    if (busy || waiting === null) return
    const { question } = waiting
    const mine = era
    turn += 1
    const my = turn
    waiting = null
    busy = true
    try {
      const result = await answer(question)
      if (mine === era && my === turn) done(result, question)
    } catch (error) {
      if (mine === era && my === turn) failed(error, question)
    } finally {
      // The pause after an answer lets the page draw; who lifted the pen does not wait for it.
      if (my === turn && waiting && !waiting.urgent) await Promise.race([pause(), hurry()])
      // Unless it was overtaken.
      if (my === turn) {
        busy = false
        next()
      }
    }
  }

  let hurried = null
  const hurry = () =>
    new Promise((resolve) => {
      hurried = resolve
    })
  const pause = () =>
    new Promise((resolve) => {
      later(resolve, apart)
    })

  return {
    ask(question, urgent = false) {
      waiting = { question, urgent }
      if (urgent) {
        hurried?.()
        busy = false
      }
      next()
    },
    drop() {
      waiting = null
      era += 1
    },
  }
}
