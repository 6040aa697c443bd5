// One answer of the service, in the form in which the page shows it. Pure.
//
// A network for two classes may have a single logit, for the second of them. The logit of the first then counts as zero:
// the softmax of both is the sigmoid that the service computes.

const flat = (rows) => rows.flat()

/** What is asked for when the pen is lifted or rests; while it moves, only the answer is. */
export const FIELDS = ["input", "activations", "scores", "temperature", "relevance", "normalization"]
/** Effective weights are as large as all others together, and asked for when their chapter is near. */
export const LINEAR_FIELDS = ["stencils", "offsets"]

/** Returns an answer and what it has of an explanation: lists by class; pictures are flat, 784 long. */
export function makeReading(answer, milliseconds) {
  const { explanation } = answer
  const reading = {
    answer,
    milliseconds,
    classes: answer.classes,
    index: answer.classes.indexOf(answer.digit),
    isExplained: Boolean(explanation?.scores),
  }
  if (!explanation?.scores) return reading
  const single = explanation.scores.length < answer.classes.length
  return {
    ...reading,
    single,
    input: explanation.input && flat(explanation.input),
    relevance: explanation.relevance && flat(explanation.relevance),
    normalization: explanation.normalization ?? null,
    temperature: explanation.temperature,
    hidden: explanation.activations?.slice(0, -1),
    scores: single ? [0, ...explanation.scores] : explanation.scores,
  }
}

/** Effective weights and biases by class, { stencils, offsets }, or null where the network is curved. */
export function makeLinear(explanation, single) {
  if (!explanation.stencils) return null
  const stencils = explanation.stencils.map(flat)
  if (!single) return { stencils, offsets: explanation.offsets }
  return { stencils: [stencils[0].map(() => 0), ...stencils], offsets: [0, ...explanation.offsets] }
}
