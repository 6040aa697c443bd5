// Numbers and answers in words. Pure: no page, no network.

const MINUS = "\u2212"
// No line ends between a number and its unit.
const SPACE = "\u00a0"
const WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]

/** A probability in per cent. None is certain, so it is never 100 or 0. */
export function percent(share, more = `>${SPACE}`, less = `<${SPACE}`) {
  if (share > 0.999) return `${more}99.9${SPACE}%`
  if (share < 0.001) return `${less}0.1${SPACE}%`
  return `${(100 * share).toFixed(1)}${SPACE}%`
}

/** A number with so many decimals, and a real minus sign. */
export function decimal(value, digits = 2) {
  const text = Math.abs(value).toFixed(digits)
  return value < 0 && Number(text) !== 0 ? MINUS + text : text
}

/** Likewise, with a plus sign where it is above zero. */
export function signed(value, digits = 2) {
  const text = decimal(value, digits)
  return value > 0 && Number(text) !== 0 ? `+${text}` : text
}

/** A number as the second one of a sum: "+ 1.50" or "− 1.50". */
export function added(value) {
  return `${decimal(value).startsWith(MINUS) ? MINUS : "+"} ${decimal(Math.abs(value))}`
}

/** A positive number of any size in few characters. */
export function short(value) {
  if (value >= 1e9) return value.toExponential(2).replace("e+", " × 10^")
  if (value >= 100) return Math.round(value).toLocaleString("en")
  if (value >= 0.001) return value.toPrecision(3)
  return `<${SPACE}0.001`
}

/** Classes by falling probability, as [digit, probability]. */
function ranked(answer) {
  return answer.classes.map((digit, i) => [digit, answer.probabilities[i]]).sort((a, b) => b[1] - a[1])
}

/** "a", or "an" before numbers that are spoken with a vowel first. */
export function article(number) {
  return /^(8|11$|18$)/.test(String(number)) ? "an" : "a"
}

/** A small number in words. */
export function counted(number) {
  return WORDS[number] ?? number.toLocaleString("en")
}

/** The name of an activation function. */
export function activationName(activation) {
  return { relu: "ReLU", tanh: "tanh", logistic: "sigmoid", identity: "identity" }[activation] ?? activation
}

/** A reading of several digits as { title, reason, numeral }. */
export function numberWords({ lines, confidence, verdict: sure }) {
  const n = lines.reduce((sum, { digits }) => sum + digits.length, 0)
  const digits = lines.length === 1 ? [...lines[0].text] : lines.map(({ text }) => text)
  const where = lines.length === 1 ? "" : ` in ${counted(lines.length)} lines`
  return {
    title: `I see ${counted(n)} digits${where}: ${listed(digits)}`,
    reason:
      sure === "clear"
        ? `The whole number has ${percent(confidence, "more than ", "less than ")}.`
        : `A person should look: the whole number has ${percent(confidence, "more than ", "less than ")}.`,
    numeral: lines[0].text,
  }
}

/** An answer as { title, reason, numeral }. `forced` shows the digit even of what looks like none. */
export function verdict(answer, forced = false) {
  const [[digit, first], [rival, second]] = ranked(answer)
  const [sure, next] = [first, second].map((share) => percent(share, "more than ", "less than "))
  switch (answer.verdict) {
    case "not_a_digit":
      return forced
        ? {
            title: `If it must be a digit: ${digit}`,
            reason: `But it looks like none that the network learned.`,
            numeral: String(digit),
          }
        : {
            title: "This does not look like a digit",
            reason: "It is unlike any that the network learned.",
            numeral: "?",
          }
    case "several_digits":
      return {
        title: "I see several digits",
        reason: `The largest looks most like ${article(digit)} ${digit}.`,
        numeral: "…",
      }
    case "ambiguous":
      return {
        title: `${digit} or ${rival}`,
        reason: `Too close to call: ${digit} has ${sure}, ${rival} has ${next}. A person should look.`,
        numeral: `${digit}/${rival}`,
      }
    default:
      return {
        title: `This is ${article(digit)} ${digit}`,
        reason: `The network gives it ${sure}. Next comes ${rival} with ${next}.`,
        numeral: String(digit),
      }
  }
}

/** The small print under an answer. */
export function facts(answer, milliseconds) {
  const unlike = answer.novelty === null ? "" : `Unlike a digit: ${percent(answer.novelty)} · `
  return `${unlike}answered in ${Math.max(1, Math.round(milliseconds))}${SPACE}ms`
}

/** What was done to a picture of this width, in sentences. All sizes are in pixels of the picture as it was sent. */
export function preparation(normalization, width) {
  if (normalization === null) return "Taken as it is: 28 × 28 numbers need no normalisation."
  const {
    polarity,
    stroke,
    ink_box: [top, left, bottom, right],
    size,
    scale,
  } = normalization
  const ground =
    { "dark-on-light": "Dark ink on light ground", "light-on-dark": "Light ink on dark ground" }[polarity] ?? "Ink"
  // The service may have decoded a large picture smaller than it is.
  const unit = (width ?? size[1]) / size[1]
  const sizes = [right - left, bottom - top].map((side) => Math.round(side * unit).toLocaleString("en"))
  const found =
    `${ground}, ${sizes.join(" × ")} pixels, is scaled by ${short(scale / unit)} and centred by its centre of mass.`
  if (!stroke) return found
  const change = Math.abs(stroke.widening) < 0.05 ? "kept" : stroke.widening > 0 ? "widened" : "thinned"
  const strokes = (stroke.width / scale) * unit
  return `${found} Its strokes, ${decimal(strokes, 1)} pixels wide, are ${change}.`
}

/** A list of two or more in words. */
export function listed(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`
}
