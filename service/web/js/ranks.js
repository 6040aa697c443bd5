// The order of values, as positions. Pure.

/** The positions of values, the largest first. */
export function descending(values) {
  return values.map((_, i) => i).sort((a, b) => values[b] - values[a])
}

/** The positions of the n values that are farthest from zero, the farthest first. */
export function strongest(values, n) {
  return descending(values.map(Math.abs)).slice(0, n)
}
