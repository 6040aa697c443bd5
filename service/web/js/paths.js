// The strongest paths of one picture through the network. Pure, but for the weights that it asks for.
//
// An edge is a contribution, the output of where it begins times its weight. The contributions to a unit and its bias
// add up to its z. A softmax does not see what all logits have in common: the weights of edges to logits are those less
// their mean over the classes. Units are chosen from the last layer back to the first: those that contribute most to the
// answer, and then those that contribute most to them.

import { strongest } from "./ranks.js"

const UNITS = 8
const PIXELS = 7

/** Columns less their mean, where there are several. */
function lessMean(columns) {
  if (columns.length === 1) return columns
  const mean = columns[0].weights.map((_, i) => columns.reduce((sum, one) => sum + one.weights[i], 0) / columns.length)
  return columns.map(({ weights, bias }) => ({ weights: weights.map((weight, i) => weight - mean[i]), bias }))
}

/**
 * Returns { layers, edges }. A layer is a list of nodes { unit, value, z, bias }, by hidden layer and last the logits. An
 * edge is { layer, from, to, value, weight, input }: it leads to unit `to` of `layer`, and `from` is a unit of the layer
 * before or, for layer 0, a pixel.
 */
export async function findPaths(reading, weights) {
  const { hidden, input } = reading
  const last = hidden.length
  const outputs = [input, ...hidden]
  const logits = reading.single ? [reading.scores[1]] : reading.scores
  const head = await weights.layer(last)
  const answer = reading.single ? 0 : reading.index
  const layers = new Array(last + 1)
  const edges = []
  layers[last] = logits.map((z, unit) => ({ unit, value: z, z, bias: head.bias(unit) }))
  let columns = lessMean(logits.map((_, unit) => ({ weights: head.column(unit), bias: head.bias(unit) })))
  // How much a unit of the answer's own row counts: only the answer itself at first, then what its units add to it.
  let importance = logits.map((_, unit) => (unit === answer ? 1 : 0))

  for (let layer = last; layer >= 0; layer -= 1) {
    const values = outputs[layer]
    const nodes = layers[layer]
    const strength = values.map((value, i) =>
      value === 0
        ? 0
        : nodes.reduce((sum, _, at) => sum + importance[at] * Math.abs(value * columns[at].weights[i]), 0),
    )
    const chosen = layer === 0 ? null : strongest(strength, UNITS).filter((i) => strength[i] > 0)
    nodes.forEach(({ unit }, at) => {
      const products = values.map((value, i) => value * columns[at].weights[i])
      for (const i of chosen ?? strongest(products, PIXELS)) {
        if (products[i] === 0) continue
        edges.push({
          layer,
          from: i,
          to: unit,
          value: products[i],
          weight: columns[at].weights[i],
          input: values[i],
        })
      }
    })
    if (layer === 0) break
    const before = await weights.columns(layer - 1, chosen)
    layers[layer - 1] = chosen.map((unit, at) => {
      const inputs = outputs[layer - 1]
      const sum = before[at].weights.reduce((all, weight, i) => all + weight * inputs[i], 0)
      return { unit, value: values[unit], z: sum + before[at].bias, bias: before[at].bias }
    })
    importance = chosen.map((i) => strength[i] / Math.max(1e-9, Math.abs(values[i])))
    columns = before
  }
  return { layers, edges }
}
