// Ten points in the plane and the network that learns them, in the symbols of Higham and Higham (arXiv 1801.05894), as
// training/higham.py has it. Pure.
//
// Parameters are { weights: [W[2], W[3], W[4]], biases: [b[2], b[3], b[4]] }, W a list of rows, and so is a gradient.

export const POINTS = [
  [0.1, 0.1],
  [0.3, 0.4],
  [0.1, 0.5],
  [0.6, 0.9],
  [0.4, 0.2],
  [0.6, 0.3],
  [0.5, 0.6],
  [0.9, 0.2],
  [0.4, 0.4],
  [0.7, 0.6],
]
export const TARGETS = POINTS.map((_, k) => (k < 5 ? [1, 0] : [0, 1]))
export const UNITS = [2, 2, 3, 2]
export const LEARNING_RATE = 0.05

/** Random numbers from 0 to 1 (mulberry32): the same seed gives the same ones. */
export function random(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** Random parameters, normal with mean 0 and standard deviation 1/2, as in the paper. */
export function initial(draw) {
  const normal = () => 0.5 * Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw())
  const weights = UNITS.slice(1).map((n, l) =>
    Array.from({ length: n }, () => Array.from({ length: UNITS[l] }, normal)),
  )
  return { weights, biases: UNITS.slice(1).map((n) => Array.from({ length: n }, normal)) }
}

/** a[1], ..., a[4] for a point; the last is F(x). */
export function forward({ weights, biases }, x) {
  const activations = [x]
  for (let l = 0; l < weights.length; l += 1) {
    const a = activations.at(-1)
    activations.push(
      weights[l].map((row, j) => {
        let z = biases[l][j]
        for (let i = 0; i < row.length; i += 1) z += row[i] * a[i]
        return 1 / (1 + Math.exp(-z))
      }),
    )
  }
  return activations
}

/** The quadratic cost: the mean over the points of half the squared distance of F(x) from y. */
export function cost(parameters) {
  let sum = 0
  POINTS.forEach((x, k) =>
    forward(parameters, x)
      .at(-1)
      .forEach((a, j) => {
        sum += (TARGETS[k][j] - a) ** 2
      }),
  )
  return sum / (2 * POINTS.length)
}

/** How many of the ten points get the larger output where their target is. */
export function nRight(parameters) {
  return POINTS.filter((x, k) => {
    const [first, second] = forward(parameters, x).at(-1)
    return first >= second === (TARGETS[k][0] === 1)
  }).length
}

/** The gradient of the cost of one point, by backpropagation, and `deltas`, the derivatives by each layer's z. */
export function backpropagate(parameters, x, y) {
  const activations = forward(parameters, x)
  const deltas = [activations.at(-1).map((a, j) => a * (1 - a) * (a - y[j]))]
  for (let l = parameters.weights.length - 1; l > 0; l -= 1) {
    const [next] = deltas
    deltas.unshift(
      activations[l].map((a, i) => {
        let sum = 0
        for (let j = 0; j < next.length; j += 1) sum += parameters.weights[l][j][i] * next[j]
        return a * (1 - a) * sum
      }),
    )
  }
  return {
    weights: deltas.map((delta, l) => delta.map((d) => activations[l].map((a) => d * a))),
    biases: deltas,
    deltas,
  }
}

/** Takes one step of gradient descent with the gradient of point k. Changes the parameters. */
export function step(parameters, k, rate = LEARNING_RATE) {
  const gradient = backpropagate(parameters, POINTS[k], TARGETS[k])
  gradient.weights.forEach((rows, l) =>
    rows.forEach((row, j) => {
      for (let i = 0; i < row.length; i += 1) parameters.weights[l][j][i] -= rate * row[i]
      parameters.biases[l][j] -= rate * gradient.biases[l][j]
    }),
  )
  return gradient
}

/** The length of the gradient of the whole cost: the mean over all points, as one vector. */
export function slope(parameters) {
  const sum = new Map()
  POINTS.forEach((x, k) => {
    const { weights, biases } = backpropagate(parameters, x, TARGETS[k])
    const add = (name, value) => sum.set(name, (sum.get(name) ?? 0) + value / POINTS.length)
    weights.forEach((rows, l) =>
      rows.forEach((row, j) => {
        row.forEach((value, i) => add(`${l} ${j} ${i}`, value))
        add(`${l} ${j}`, biases[l][j])
      }),
    )
  })
  return Math.hypot(...sum.values())
}
