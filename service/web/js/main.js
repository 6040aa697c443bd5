// The page put together: pad and pictures -> questions -> answers -> every chapter.

import { showAlpha } from "./alpha.js"
import { makeAnswer } from "./answer.js"
import { watchChapters } from "./chapters.js"
import { Gone, makeClient } from "./client.js"
import { showPrograms } from "./code.js"
import { onThemeChange } from "./colour.js"
import { makeCost } from "./cost.js"
import { makeDuel, whyTitle } from "./duel.js"
import { byId, html } from "./element.js"
import { play } from "./example.js"
import { makeGallery } from "./gallery.js"
import { makeGraph } from "./graph.js"
import { makeKeys } from "./keys.js"
import { showLearned, showReport } from "./learning.js"
import { makeMosaic } from "./mosaic.js"
import { cutOut, digitsOf, makeNumbers } from "./numbers.js"
import { blackOnWhite, length, makePad } from "./pad.js"
import { showPoints } from "./points.js"
import { makePour } from "./pour.js"
import { makeQueue } from "./queue.js"
import { strongest } from "./ranks.js"
import { FIELDS, LINEAR_FIELDS, makeLinear, makeReading } from "./reading.js"
import { describeScores, showContributions, showSoftmax } from "./scores.js"
import { makeSight } from "./sight.js"
import { makeDemo } from "./softmax.js"
import { showStencils } from "./stencils.js"
import { makeTrouble } from "./trouble.js"
import { makeUnitCard } from "./unit.js"
import { makeWeights } from "./weights.js"
import { activationName, listed } from "./words.js"

// The picture in programs is as small as it can be read well.
const COPIED_SIDE = 84
const WAVE = 220
// Less than this, as a share of the pad's side, is a dot and no drawing yet.
const SHORTEST = 0.08
// Milliseconds after which a pen that does not move rests: then the explanation is asked for, as when it is lifted.
const REST = 300
// Milliseconds between two questions while the pen moves: seldom enough for few bytes, often enough to be live.
const APART = 120
const AMBIGUOUS = "ambiguous.png"
const SAMPLES = [
  ["phone.jpg", "Phone photo"],
  ["squared.jpg", "Squared paper"],
  ["scan.png", "Scan"],
  ["screen.png", "White on black"],
  [AMBIGUOUS, "Could be two"],
  ["letter.png", "A letter"],
]
const NOTHING = {
  title: "Nothing to read yet",
  reason: "Draw a digit, or a number. The network answers while you draw.",
}

const keys = makeKeys(byId("key"))
const client = makeClient(keys)
const answer = makeAnswer()
const sight = makeSight()
const trouble = makeTrouble(() => (model ? repeat() : start()))
const duel = makeDuel(client)
const pour = makePour(byId("lit"), byId("stencils"))
const demo = makeDemo()
const cost = makeCost()
const numbers = makeNumbers((i) => choose(i))
let model = null
let weights = null
let told = null
let mosaics = []
let card = null
let graph = null
let plane = null
let study = null
// The question that was asked last, the reading that the chapters show, and the digits of a number with the picture.
let asked = null
let shown = null
let number = null
let stopExample = null
let resting = null
let settling = null
// Whether a chapter is near whose numbers cost much to send.
const near = { network: false, units: false, why: false }
// Whether a person has chosen a unit; until then one is an example.
let isPicked = false

// --- Questions and answers

const queue = makeQueue({
  apart: APART,
  async answer(question) {
    question.blob ??= question.file ?? (await (question.encoding ?? question.canvas.convertToBlob()))
    const begun = performance.now()
    const found = await client.predict(question.blob, question.explained ? FIELDS : [], Boolean(question.file))
    const milliseconds = performance.now() - begun
    if (found.model.version !== model?.version) await load()
    return makeReading(found, milliseconds)
  },
  done(reading, question) {
    trouble.end()
    // A digit of a number that has been replaced in the meantime.
    if (question.of && question.of !== number) return
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
  // Who lifts the pen does not wait for the question before: the picture is encoded meanwhile.
  if (question.explained && !question.file) question.encoding = question.canvas.convertToBlob()
  answer.wait()
  // A service that is gone is not asked at every move of the pen.
  if (trouble.on() && !question.final) return
  queue.ask(question, question.explained)
}

function repeat() {
  if (asked) queue.ask(asked, true)
  else trouble.end()
}

/** There is nothing to show: nothing of the last picture stays on the page. */
function blank(words) {
  shown = null
  number = null
  clearTimeout(settling)
  byId("story").classList.add("blank")
  numbers.hide()
  sight.clear()
  graph?.clear()
  mosaics.forEach((mosaic) => mosaic.clear())
  card?.clear()
  byId("contributions").hidden = true
  for (const list of [byId("softmax").tBodies[0], byId("softmax").tFoot, byId("strip"), byId("stencils"), byId("snippets")])
    list.replaceChildren()
  byId("softmax-told").textContent = ""
  pour.clear()
  duel.clear()
  cost.clear()
  byId("wow").hidden = true
  byId("why-title").textContent = "Why this digit?"
  answer.blank(model?.classes ?? [], words)
}

function show(reading, question) {
  if (!reading.isExplained) {
    // The pen moves: the answer is live, and the chapters follow when it rests.
    numbers.hide()
    number = null
    answer.show(reading)
    byId("ask-why").hidden = true
    return
  }
  shown = { reading, question }
  byId("story").classList.remove("blank")
  const whole = question.of?.question ?? question
  sight.show(reading, question.canvas)
  if (!question.of) {
    numbers.hide()
    number = null
  }
  answer.show(reading, number ? { found: number.found, chosen: number.chosen } : {})
  if (number) numbers.compare(reading.answer.digit)
  mosaics.forEach((mosaic, i) => mosaic.show(reading.hidden[i], { wave: question.final, delay: i * WAVE }))
  showSoftmax(reading)
  cost.show(reading)
  contribute(reading)
  if (isPicked) card.update(reading)
  byId("why-title").textContent = whyTitle(reading)
  byId("ask-why").hidden = reading.answer.verdict === "not_a_digit" || !piecewiseLinear()
  byId("ask-why").textContent = whyTitle(reading)
  // What costs much to send waits until the pen has been lifted for a while: it may go on with the next stroke. Of a number
  // only its digits are taken through the network.
  clearTimeout(settling)
  const isNumber = !question.of && reading.answer.verdict === "several_digits"
  // Digits that touch are one component, and unlike any digit.
  const mayBeNumber = isNumber || (!question.of && reading.answer.verdict === "not_a_digit")
  if (!isNumber) settling = setTimeout(elaborate, question.strokes ? REST : 0)
  if (!question.final) return
  graph.flow()
  program(whole)
  if (mayBeNumber) read(question)
}

/** Shows what the chapters that are near need beside the answer. */
function elaborate() {
  drawNetwork()
  exemplify()
  linearize()
}

/** Until a person has chosen a unit, the card has one that speaks for the answer, or else the most active one. */
function exemplify() {
  if (!shown || !near.units || isPicked || mosaics.length === 0) return
  const unit = graph.example() ?? strongest(shown.reading.hidden[0], 1)[0]
  mosaics.forEach((mosaic, i) => mosaic.pick(i === 0 ? unit : null, true))
  card.show(0, unit, { chosen: false, of: shown.reading })
}

/** The paths need some weights, which come when the chapter is near. */
function drawNetwork() {
  if (!shown || !near.network || shown.drawn) return
  shown.drawn = true
  graph
    .show(shown.reading)
    .then(exemplify)
    .catch((error) => {
      byId("trace").textContent = error.message
    })
}

const piecewiseLinear = () =>
  model.layers.slice(0, -1).every(({ activation }) => activation === "relu" || activation === "identity")

/** Effective weights are large: they are asked for when their chapter is near and the pen rests. */
async function linearize() {
  if (!shown || !near.why || shown.linear) return
  const { reading, question } = shown
  shown.linear = true
  try {
    const found = await client.predict(question.blob, LINEAR_FIELDS, Boolean(question.file))
    if (shown?.reading !== reading) return
    const linear = found.explanation && makeLinear(found.explanation, reading.single)
    byId("wow").hidden = !linear
    byId("no-stencils").hidden = Boolean(linear)
    if (!linear) return
    const whole = { ...reading, ...linear }
    showStencils(byId("stencils"), whole, byId("stencils-told"))
    pour.show(whole)
    duel.show(whole)
  } catch {
    // The next picture asks again.
    byId("wow").hidden = true
  }
}

/**
 * Several digits: which ones, and where, is the answer of /read. The first is taken through the explanation. Of what is
 * no digit by itself, only a clear reading counts.
 */
async function read(question) {
  try {
    const found = await client.read(question.blob)
    // The drawing may have gone on in the meantime.
    if (asked !== question || shown?.question !== question) return
    const counts = shown.reading.answer.verdict === "several_digits" || found.verdict === "clear"
    if (!counts || digitsOf(found).length < 2) return elaborate()
    number = { found, question, chosen: 0 }
    // What this browser cannot show, it cannot cut either.
    if (question.canvas) return choose(0)
    answer.show(shown.reading, { found, chosen: 0 })
  } catch {
    // The verdict alone stays on the page.
  }
  return elaborate()
}

/** Takes one digit of the number through the explanation: it is cut out, and sent like any picture. */
function choose(i) {
  if (!number) return
  number.chosen = i
  const { found, question } = number
  const boxes = digitsOf(found).map(({ box }) => box)
  numbers.show(found, question.canvas, i)
  answer.show(shown.reading, { found, chosen: i })
  const canvas = cutOut(question.canvas, found.picture_size, boxes, i)
  ask({ canvas, of: number, explained: true, final: true })
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
  if (!shown) return undefined
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
  clearTimeout(resting)
  if (length(strokes) < SHORTEST) return
  graph?.flow()
  const copy = strokes.map((stroke) => ({ ...stroke, points: [...stroke.points] }))
  const question = { strokes: copy, canvas: blackOnWhite(copy), final, explained: final }
  ask(question)
  if (!final) resting = setTimeout(() => asked === question && ask({ ...question, explained: true }), REST)
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
  clearTimeout(resting)
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
  clearTimeout(resting)
  // What this browser cannot show, the service may be able to read, or says what it is.
  const picture = await createImageBitmap(file).catch(() => null)
  pad.place(picture)
  byId("invitation").hidden = true
  ask({ file, canvas: picture, final: true, explained: true })
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
  isPicked = true
  mosaics.forEach((mosaic, i) => mosaic.pick(i === index ? unit : null))
  card.show(index, unit, { of: shown?.reading ?? null })
}

/** Shows all weights of a unit that was chosen elsewhere, in the card beside the tiles. */
function pickAndGo(index, unit) {
  pick(index, unit)
  byId("unit").scrollIntoView({ block: "center" })
  byId("unit").focus({ preventScroll: true })
}

function describe() {
  byId("n-parameters").textContent = model.n_parameters.toLocaleString("en")
  const hidden = model.layers.slice(0, -1)
  const sizes = hidden.map((layer) => layer.n_out.toLocaleString("en"))
  byId("units-title").textContent =
    hidden.length === 0
      ? "No hidden units: this network has no hidden layer"
      : `${sizes.length === 1 ? sizes[0] : listed(sizes)} hidden units`
  const [activation] = hidden.map((layer) => layer.activation)
  const name = activationName(activation)
  byId("units-lead").textContent =
    "Every tile is one hidden unit, a neuron. Its weighted sum plus its bias is z, and its activation function makes its output of it. " +
    (activation === "relu"
      ? "ReLU keeps what is above 0 and makes the rest 0: the unit is active or it is not."
      : `Here that is ${name}.`)
  byId("units-formula").replaceChildren(
    html("span", {}, activation === "relu" ? "a = ReLU(z) = max(0, z)" : `a = ${name}(z)`),
  )
  for (const id of ["units-lead", "units-formula", "units-scale", "unit"]) byId(id).hidden = hidden.length === 0
  byId("shapes").replaceChildren(
    ...model.layers.map(({ n_in: nIn, n_out: nOut }, i) => html("span", {}, `W(${i + 1}): ${nIn} × ${nOut}`)),
  )
  mosaics = hidden.map((layer, i) =>
    makeMosaic({ name: `a(${i + 1})`, units: layer.n_out, picked: (unit) => pick(i, unit) }),
  )
  byId("mosaics").replaceChildren(...mosaics.map((mosaic) => mosaic.figure))
  isPicked = false
  card = makeUnitCard(byId("unit"), { weights, model })
  graph?.clear()
  graph = makeGraph(renewed("graph"), byId("trace"), { weights, model, picked: pickAndGo, told: byId("graph-told") })
  const [first] = model.layers
  byId("weights-lead").textContent =
    `The weights of the first layer, coefs_[0] in scikit-learn, are a matrix of shape (${first.n_in}, ${first.n_out}): ` +
    `a row for each of the ${first.n_in} pixels, a column for each of the ${first.n_out} units. A column is 784 numbers, ` +
    "one for each pixel, and so it can be drawn as a picture."
  const gallery = makeGallery(byId("gallery"), {
    client,
    units: first.n_out,
    picked: (unit) => hidden.length && pickAndGo(0, unit),
  })
  once(byId("weights"), gallery.show)
  describeScores(model)
  byId("served").textContent =
    `Answers come from the model ${model.name}, version ${model.version}. Your pictures are read and forgotten.`
}

/** A copy of an element without its listeners, in its place: another model draws its network anew. */
function renewed(id) {
  const element = byId(id)
  const copy = element.cloneNode(false)
  element.replaceWith(copy)
  return copy
}

/** Adds what is not needed for an answer. Only below a first one it lies where it will stay. */
function tell() {
  told = model
  offerSamples()
  showLearned(byId("learned"), model)
  once(byId("mistakes"), () => showReport(byId("report"), client, model))
  once(byId("scores"), showDemo)
  once(byId("points"), () => {
    plane ??= showPoints()
  })
  once(byId("alpha"), async () => {
    study = await showAlpha(byId("alpha-body"), model).catch((error) => {
      byId("alpha-body").textContent = error.message
      return null
    })
  })
  whileNear("network", drawNetwork)
  whileNear("units", exemplify)
  whileNear("why", linearize)
}

/** The softmax is shown on a picture that could be two, before that of the pad. */
async function showDemo() {
  try {
    const sample = await (await fetch(`page/samples/${AMBIGUOUS}`)).blob()
    demo.show(makeReading(await client.predict(sample, ["input", "scores", "temperature"]), 0))
  } catch {
    byId("demo").hidden = true
  }
}

/** Calls back when an element comes near for the first time. */
function once(element, call, options = { rootMargin: "300px" }) {
  const observer = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return
    observer.disconnect()
    call()
  }, options)
  observer.observe(element)
}

/** Notes whether a chapter is near, and calls back when it comes. */
function whileNear(id, call) {
  new IntersectionObserver(
    // A busy page gets several at once; the last one holds.
    (entries) => {
      near[id] = entries.at(-1).isIntersecting
      if (near[id]) call()
    },
    { rootMargin: "200px" },
  ).observe(byId(id))
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
watchChapters(byId("chapters"))
onThemeChange(() => {
  pad.repaint()
  plane?.repaint()
  study?.repaint()
  demo.repaint()
  numbers.repaint()
  if (!shown) return
  const { reading, question } = shown
  sight.show(reading, question.canvas)
  mosaics.forEach((mosaic) => mosaic.repaint())
  if (isPicked) card.update(reading)
  else exemplify()
  graph.repaint()
  shown.linear = false
  linearize()
})
start()
