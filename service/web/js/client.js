// The service, asked over HTTP. Every address is relative to the page, so that proxies may put it anywhere.

// A drawing is answered in milliseconds; a photo has to get there first.
const SOON = 3000
const LATE = 60000

/** The service answered, and said no: a problem with `code`, `detail` and `status`. */
class Refusal extends Error {
  constructor({ status, code, detail }) {
    super(detail)
    this.status = status
    this.code = code
  }
}

/** The service did not answer, or is too busy to. `after` is how many seconds it asks to wait. */
export class Gone extends Error {
  constructor(reason, after = null) {
    super(reason)
    this.after = after
  }
}

/** Returns the client. `key()` is the API key, or null; `newKey(refused)` returns when a person has typed another. */
export function makeClient({ key, newKey, request = (...all) => fetch(...all) }) {
  async function send(path, { timeout = LATE, headers = {}, ...options } = {}) {
    const sent = key()
    const all = sent ? { ...headers, Authorization: `Bearer ${sent}` } : headers
    let response
    try {
      response = await request(path, { ...options, headers: all, signal: AbortSignal.timeout(timeout) })
    } catch (error) {
      throw new Gone(error.name === "TimeoutError" ? "The service takes too long." : "The service does not answer.")
    }
    if (response.ok) return response
    if (response.status === 401) {
      await newKey(sent)
      return send(path, { timeout, headers, ...options })
    }
    const problem = await response.json().catch(() => ({}))
    if (response.status >= 500 || !problem.code) {
      throw new Gone(
        problem.detail ?? `The service answers with status ${response.status}.`,
        Number(response.headers.get("Retry-After")) || null,
      )
    }
    throw new Refusal(problem)
  }

  const json = async (path, options) => (await send(path, options)).json()
  const query = (fields) => (fields.length ? `?explain=${fields.join(",")}` : "")
  const typeOf = (picture) => ({ "Content-Type": picture.type || "application/octet-stream" })
  const post = (path, headers, body, timeout) => json(path, { method: "POST", headers, body, timeout })

  return {
    /** An encoded picture, as a Blob, with these fields of its explanation. */
    predict: (picture, fields = [], slow = false) =>
      post(`predict${query(fields)}`, typeOf(picture), picture, slow ? LATE : SOON),
    /** 28 rows of 28 integers from 0 to 255: they are taken as they are. */
    predictPixels: (pixels, fields = []) =>
      post(`predict${query(fields)}`, { "Content-Type": "application/json" }, JSON.stringify({ pixels }), SOON),
    /** Every digit in an encoded picture. */
    read: (picture) => post("read", typeOf(picture), picture, LATE),
    model: () => json("model"),
    report: () => json("model/report"),
    figure: async (name) => (await send(`model/report/${name}.png`)).blob(),
    /** A layer, or only `units` and `inputs` of it, each with commas. */
    weights: async (layer, part = {}) =>
      (await send(`model/weights/${layer}?${new URLSearchParams({ format: "safetensors", ...part })}`)).arrayBuffer(),
    tiles: async (rows, columns, first) =>
      (await send(`model/weights/0/image?rows=${rows}&columns=${columns}&first=${first}`)).blob(),
  }
}
