// The page put together: pad and pictures -> questions -> answers -> every chapter.

import { makeAnswer } from "./answer.js"
import { Gone, makeClient } from "./client.js"
import { showPrograms } from "./code.js"
import { onThemeChange } from "./colour.js"
import { makeDuel } from "./duel.js"
import { byId, html } from "./element.js"
import { play } from "./example.js"
import { makeGallery } from "./gallery.js"
import { makeKeys } from "./keys.js"
import { showLearning } from "./learning.js"
import { makeMosaic } from "./mosaic.js"
import { blackOnWhite, length, makePad } from "./pad.js"
import { makePour } from "./pour.js"
import { makeQueue } from "./queue.js"
import { makeReading } from "./reading.js"
import { showContributions, showSoftmax } from "./scores.js"
import { makeSight } from "./sight.js"
import { showStencils } from "./stencils.js"
import { makeTrouble } from "./trouble.js"
import { makeUnitCard } from "./unit.js"
import { makeWeights } from "./weights.js"
import { listed } from "./words.js"

// The picture in programs is as small as it can be read well.
const COPIED_SIDE = 84
const WAVE = 220
// Less than this, as a share of the pad's side, is a dot and no drawing yet.
const SHORTEST = 0.08
const SAMPLES = [
  ["phone.jpg", "Phone photo"],
  ["squared.jpg", "Squared paper"],
  ["scan.png", "Scan"],
  ["screen.png", "White on black"],
  ["ambiguous.png", "Could be two"],
  ["letter.png", "A letter"],
]
const NOTHING = { title: "Nothing to read yet", reason: "Draw a digit, and the network answers while you draw." }

const keys = makeKeys(byId("key"))
const client = makeClient(keys)
const answer = makeAnswer()
const sight = makeSight()
const trouble = makeTrouble(() => (model ? repeat() : start()))
const duel = makeDuel(client)
const pour = makePour(byId("lit"), byId("stencils"))
let model = null
let weights = null
let told = null
let mosaics = []
let card = null
let asked = null
let shown = null
let stopExample = null

// --- Questions and answers

const queue = makeQueue({
  async answer(question) {
    const picture = question.file ?? (await question.canvas.convertToBlob())
    const begun = performance.now()
    const found = await client.predict(picture, Boolean(question.file))
    const milliseconds = performance.now() - begun
    if (found.model.version !== model?.version) await load()
    return makeReading(found, milliseconds)
  },
  done(reading, question) {
    trouble.end()
    show(reading, question)
    if (told !== model) tell()
  },
  failed: fail,
})

function fail(error) {
  if (error instanceof Gone) {
    answer.dim()
    trouble.begin(error.message, error.after)
    return
  }
  trouble.end()
  blank(
    error.code === "no-ink"
      ? { ...NOTHING, reason: error.message }
      : { title: "This cannot be read", reason: error.message },
  )
  if (!error.status) throw error
}

function ask(question) {
  asked = question
  answer.wait()
  // A service that is gone is not asked at every move of the pen.
  if (trouble.on() && !question.final) return
  queue.ask(question, question.final)
}

function repeat() {
  if (asked) queue.ask(asked, true)
  else trouble.end()
}

/** There is nothing to show: what the chapters tell is of a picture that is gone. */
function blank(words) {
  shown = null
  byId("story").classList.add("stale")
  answer.blank(model?.classes ?? [], words)
}

function show(reading, question) {
  shown = { reading, question }
  byId("story").classList.remove("stale")
  sight.show(reading, question.canvas)
  answer.show(reading)
  mosaics.forEach((mosaic, i) => mosaic.show(reading.hidden[i], { wave: question.final, delay: i * WAVE }))
  showSoftmax(reading)
  contribute(reading)
  card?.update(reading)
  byId("wow").hidden = !reading.stencils
  byId("no-stencils").hidden = Boolean(reading.stencils)
  if (reading.stencils) {
    showStencils(byId("stencils"), reading)
    pour.show(reading)
    duel.show(reading)
  }
  byId("ask-why").hidden = !reading.stencils || reading.answer.verdict === "not_a_digit"
  byId("ask-why").textContent = byId("why-title").textContent
  if (question.final) program(question)
}

/** Contributions need the last layer's weights, which are few: they come after the first answer. */
async function contribute(reading) {
  if (reading.hidden.length === 0) return
  try {
    const layer = await weights.layer(reading.hidden.length)
    if (shown?.reading === reading) showContributions(reading, layer)
  } catch {
    byId("contributions").hidden = true
  }
}

async function program(question) {
  const address = new URL(".", location.href).href
  const key = keys.key() !== null
  if (question.file) return showPrograms(byId("snippets"), { address, key, file: question.file.name || "picture.png" })
  const small = await blackOnWhite(question.strokes, COPIED_SIDE).convertToBlob()
  const bytes = new Uint8Array(await small.arrayBuffer())
  return showPrograms(byId("snippets"), { address, key, base64: btoa(String.fromCharCode(...bytes)) })
}

// --- Drawing

const pad = makePad(byId("pad"), {
  width: () => Number(byId("width").value) / 100,
  touched: endExample,
  changed: (lifted) => askDrawing(pad.strokes(), lifted),
})

function askDrawing(strokes, final) {
  byId("invitation").hidden = true
  if (length(strokes) < SHORTEST) return
  const n = strokes.reduce((sum, stroke) => sum + stroke.points.length, 0)
  if (final && asked?.n === n && !trouble.on()) {
    // The pen was lifted where it was last asked about: the answer is there already, or on its way.
    asked.final = true
    if (shown?.question === asked) show(shown.reading, asked)
    return
  }
  const copy = strokes.map((stroke) => ({ ...stroke, points: [...stroke.points] }))
  ask({ strokes: copy, n, canvas: blackOnWhite(copy), final })
}

function endExample() {
  if (!stopExample) return
  stopExample()
  stopExample = null
  byId("badge").hidden = true
  pad.draw([])
}

function clear() {
  endExample()
  pad.place(null)
  asked = null
  queue.drop()
  trouble.end()
  byId("invitation").hidden = false
  blank(NOTHING)
}

function undo() {
  endExample()
  pad.undo()
  if (pad.strokes().length) askDrawing(pad.strokes(), true)
  else clear()
}

byId("clear").addEventListener("click", clear)
byId("undo").addEventListener("click", undo)
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && !event.target.closest("input")) {
    event.preventDefault()
    undo()
  }
})

// --- Pictures

async function take(file) {
  endExample()
  // What this browser cannot show, the service may be able to read, or says what it is.
  const picture = await createImageBitmap(file).catch(() => null)
  pad.place(picture)
  byId("invitation").hidden = true
  ask({ file, canvas: picture, final: true })
}

for (const id of ["file", "camera"]) {
  byId(id).addEventListener("change", (event) => {
    const [file] = event.target.files
    if (file) take(file)
    event.target.value = ""
  })
}
document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files
  if (file) take(file)
})
document.addEventListener("dragover", (event) => {
  event.preventDefault()
  byId("paper").classList.add("over")
})
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) byId("paper").classList.remove("over")
})
document.addEventListener("drop", (event) => {
  event.preventDefault()
  byId("paper").classList.remove("over")
  const [file] = event.dataTransfer.files
  if (file) take(file)
})

function offerSamples() {
  byId("samples").replaceChildren(
    ...SAMPLES.map(([name, label]) => {
      const address = `page/samples/${name}`
      const takeIt = async () => take(new File([await (await fetch(address)).blob()], name))
      return html(
        "button",
        { type: "button", onclick: () => takeIt().catch(fail) },
        html("img", { src: address, alt: "", width: 64, height: 64 }),
        html("span", {}, label),
      )
    }),
  )
}

// --- The network

function pick(index, unit) {
  mosaics.forEach((mosaic, i) => mosaic.pick(i === index ? unit : null))
  card.show(index, unit)
}

function describe() {
  byId("n-parameters").textContent = model.n_parameters.toLocaleString("en")
  const hidden = model.layers.slice(0, -1)
  byId("voters-title").textContent =
    hidden.length === 0
      ? "No voters: this network has no hidden layer"
      : `${listed(hidden.map((layer) => layer.n_out.toLocaleString("en"))).replace(" and ", ", then ")} voters`
  mosaics = hidden.map((layer, i) =>
    makeMosaic({ name: `Layer ${i + 1}`, units: layer.n_out, picked: (unit) => pick(i, unit) }),
  )
  byId("mosaics").replaceChildren(...mosaics.map((mosaic) => mosaic.figure))
  card = makeUnitCard(byId("unit"), { weights, model })
  makeGallery(byId("gallery"), { client, units: model.layers[0].n_out, picked: (unit) => pick(0, unit) })
  byId("served").textContent =
    `Answers come from the model ${model.name}, version ${model.version}. Your pictures are read and forgotten.`
}

/** Adds what is not needed for an answer. Only below a first one it lies where it will stay. */
function tell() {
  told = model
  offerSamples()
  once(byId("learned"), () => showLearning(byId("learning"), client, model))
}

/** Calls back when an element comes near for the first time. */
function once(element, call, options = { rootMargin: "300px" }) {
  const observer = new IntersectionObserver(([entry]) => {
    if (!entry.isIntersecting) return
    observer.disconnect()
    call()
  }, options)
  observer.observe(element)
}

/** Asks which model answers: at first, and when another one has taken its place. */
async function load() {
  model = await client.model()
  weights = makeWeights(client)
  describe()
}

async function start() {
  try {
    await load()
  } catch (error) {
    return fail(error)
  }
  trouble.end()
  if (asked || pad.strokes().length) return repeat()
  byId("badge").hidden = false
  stopExample = play({
    show(strokes) {
      pad.draw(strokes)
      if (strokes.length) askDrawing(strokes, false)
    },
    done: () => askDrawing(pad.strokes(), true),
  })
  return undefined
}

byId("pour").addEventListener("click", () => pour.pour())
once(byId("stencils"), () => pour.pour(), { threshold: 0.6 })
onThemeChange(() => {
  pad.repaint()
  if (shown) show(shown.reading, { ...shown.question, final: false })
})
start()
