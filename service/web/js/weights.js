// The weights of the served network, fetched when first needed and kept. A safetensors file is eight bytes of length,
// a header in JSON, and the numbers.

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
  }
}

/** Layers by number, each fetched once. */
export function makeWeights(client) {
  const layers = new Map()
  return {
    layer(index) {
      if (!layers.has(index)) {
        const fetched = client.weights(index).then((buffer) => {
          const tensors = parse(buffer)
          return makeLayer(tensors[`layers.${index}.weights`], tensors[`layers.${index}.biases`])
        })
        // What failed is asked for again next time.
        fetched.catch(() => layers.delete(index))
        layers.set(index, fetched)
      }
      return layers.get(index)
    },
  }
}
