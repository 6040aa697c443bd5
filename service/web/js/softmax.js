// The temperature of the softmax, as a slider: what it does to the probabilities of the ambiguous sample. Probabilities
// are computed here from the logits; those of the model's own temperature are the service's.

import { paint, plainColour } from "./colour.js"
import { byId, html } from "./element.js"
import { descending } from "./ranks.js"
import { added, decimal, percent, short, signed } from "./words.js"

/** Softmax of logits divided by a temperature. With a single logit, its sigmoid and the rest. */
export function softmax(scores, temperature) {
  const largest = Math.max(...scores)
  const powers = scores.map((score) => Math.exp((score - largest) / temperature))
  const sum = powers.reduce((all, one) => all + one, 0)
  return powers.map((one) => one / sum)
}

/** Returns { show(reading) } for the sample's reading. */
export function makeDemo() {
  const slider = byId("temperature")
  let reading = null

  function render() {
    if (!reading) return
    const own = reading.temperature
    // The slider is logarithmic, and catches the model's own temperature.
    const raw = 10 ** Number(slider.value)
    const temperature = Math.abs(Math.log(raw / own)) < 0.02 ? own : raw
    const { scores, classes } = reading
    const shares = softmax(scores, temperature)
    const [first, second] = descending(shares)
    byId("temperature-value").textContent = decimal(temperature)
    slider.setAttribute("aria-valuetext", decimal(temperature))
    byId("temperature-told").textContent =
      `The model’s own temperature is ${decimal(own)}: it was fitted on held-out digits, ` +
      "so that of the answers with 90 % about nine in ten are right (temperature scaling)."
    byId("demo-rows").replaceChildren(
      ...classes.map((digit, i) =>
        html(
          "li",
          { class: i === first ? "best" : "" },
          html("b", {}, String(digit)),
          html("span", { class: "logit" }, reading.single && i === 0 ? "" : signed(scores[i])),
          html("span", { class: "portion", "--share": shares[i] }),
          html("span", { class: "figure" }, percent(shares[i])),
        ),
      ),
    )
    const largest = Math.max(...scores)
    const sum = scores.reduce((all, z) => all + Math.exp((z - largest) / temperature), 0)
    byId("demo-told").textContent = reading.single
      ? `The sigmoid: p(${classes[1]}) = 1 / (1 + e^(−z / T)) = 1 / (1 + ${short(Math.exp(-scores[1] / temperature))}) = ` +
        `${percent(shares[1])}.`
      : `The largest logit is subtracted first, which changes nothing. p(${classes[second]}) = ` +
        `e^((${decimal(scores[second])} ${added(-largest)}) / ${decimal(temperature)}) / Σ = ` +
        `${short(Math.exp((scores[second] - largest) / temperature))} / ${short(sum)} = ${percent(shares[second])}, ` +
        `and p(${classes[first]}) = 1 / ${short(sum)} = ${percent(shares[first])}. ` +
        (temperature < own
          ? "A lower temperature makes the answer more certain; its order stays."
          : temperature > own
            ? "A higher temperature makes all probabilities more alike; their order stays."
            : "This is the temperature of the model.")
  }

  slider.addEventListener("input", render)
  byId("temperature-own").addEventListener("click", () => {
    if (reading) slider.value = Math.log10(reading.temperature)
    render()
  })

  return {
    repaint() {
      if (reading) paint(byId("demo-picture"), reading.input, (share) => plainColour(share))
    },
    show(newReading) {
      reading = newReading
      slider.value = Math.log10(reading.temperature)
      byId("demo").hidden = false
      const [first, second] = descending(reading.scores).map((i) => reading.classes[i])
      byId("demo-picture").setAttribute("aria-label", `The sample: ${first} or ${second}`)
      paint(byId("demo-picture"), reading.input, (share) => plainColour(share))
      render()
    },
  }
}
