// One answer of the service, in the form in which the page shows it. Pure.
//
// A network for two classes may have a single score, for the second of them: the first then counts as zero, and its
// softmax of both is the sigmoid that the service computes.

const flat = (rows) => rows.flat()

/** Returns an answer and its explanation: `scores`, `stencils` and `offsets` by class; pictures are flat, 784 long. */
export function makeReading(answer, milliseconds) {
  const { explanation } = answer
  const single = explanation.scores.length < answer.classes.length
  const both = (one, none) => (single && one ? [none, ...one] : one)
  const empty = new Array(explanation.input.flat().length).fill(0)
  return {
    answer,
    milliseconds,
    single,
    classes: answer.classes,
    index: answer.classes.indexOf(answer.digit),
    input: flat(explanation.input),
    relevance: flat(explanation.relevance),
    normalization: explanation.normalization,
    temperature: explanation.temperature,
    hidden: explanation.activations.slice(0, -1),
    scores: both(explanation.scores, 0),
    stencils: explanation.stencils && both(explanation.stencils.map(flat), empty),
    offsets: both(explanation.offsets, 0),
  }
}
