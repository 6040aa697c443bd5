// The weights of the served network, fetched when first needed and kept: a layer, or only some of its units and inputs,
// since a picture needs few of a million. A safetensors file is eight bytes of length, a header in JSON, and the numbers.

const DTYPE = "F32"

/** The tensors in a safetensors file, as { name: { shape, values } }; values are row-major. */
function parse(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)))
  const tensors = {}
  for (const [
    name,
    {
      dtype,
      shape,
      data_offsets: [begin, end],
    },
  ] of Object.entries(header)) {
    if (dtype === DTYPE)
      tensors[name] = { shape, values: new Float32Array(buffer.slice(8 + length + begin, 8 + length + end)) }
  }
  return tensors
}

/** One layer: weight(i, j) leads from input i to unit j. */
function makeLayer({ shape: [nIn, nOut], values }, biases) {
  return {
    nIn,
    nOut,
    bias: (unit) => biases.values[unit],
    weight: (input, unit) => values[input * nOut + unit],
    column: (unit) => Float32Array.from({ length: nIn }, (_, input) => values[input * nOut + unit]),
    row: (input) => values.subarray(input * nOut, (input + 1) * nOut),
  }
}

/** Weights by layer; what was fetched is kept. */
export function makeWeights(client) {
  const layers = new Map()
  const kept = new Map()

  async function fetched(index, query) {
    const tensors = parse(await client.weights(index, query))
    return makeLayer(tensors[`layers.${index}.weights`], tensors[`layers.${index}.biases`])
  }

  /** Values by key, those that are missing asked for at once. What failed is asked for again next time. */
  async function some(kind, index, places, query, take) {
    const key = (place) => `${kind} ${index} ${place}`
    const missing = [...new Set(places)].filter((place) => !kept.has(key(place)))
    if (missing.length > 0) {
      const part = fetched(index, { [query]: missing.join(",") })
      missing.forEach((place, at) => {
        const one = part.then((layer) => take(layer, at))
        one.catch(() => kept.delete(key(place)))
        kept.set(key(place), one)
      })
    }
    return Promise.all(places.map((place) => kept.get(key(place))))
  }

  return {
    /** A whole layer. */
    layer(index) {
      if (!layers.has(index)) {
        const layer = fetched(index)
        layer.catch(() => layers.delete(index))
        layers.set(index, layer)
      }
      return layers.get(index)
    },
    /** What leads to these units: for each { weights, bias }. */
    columns: (index, units) =>
      some("column", index, units, "units", (layer, at) => ({ weights: layer.column(at), bias: layer.bias(at) })),
    /** What leads away from these inputs: for each its weights to all units. */
    rows: (index, inputs) => some("row", index, inputs, "inputs", (layer, at) => layer.row(at)),
  }
}
