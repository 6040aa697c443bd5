// The picture on the screen, asked from a shell, from Python and from JavaScript.

import { html } from "./element.js"

const SHOWN = 44

function curl({ address, base64, file, key }) {
  const header = key ? `  -H "Authorization: Bearer $DIGITS_API_KEY" \\\n` : ""
  if (file) return `curl -F file=@${shell(file)} \\\n${header}  ${address}predict`
  return `curl -H "Content-Type: application/json" \\\n${header}  -d '{"image": "${base64}"}' \\\n  ${address}predict`
}

function python({ address, base64, file, key }) {
  const more = key ? ', api_key=os.environ["DIGITS_API_KEY"]' : ""
  const imports = [...(file ? [] : ["import base64"]), ...(key ? ["import os"] : [])]
  const lines = [...imports, ...(imports.length ? [""] : []), "from service.client import DigitClient", ""]
  if (!file) lines.push(`PICTURE = "${base64}"`, "")
  lines.push(
    `with DigitClient("${address}"${more}) as client:`,
    file
      ? `    answer = client.predict(${JSON.stringify(file)})`
      : "    answer = client.predict(base64.b64decode(PICTURE))",
    "",
    "print(answer.digit, answer.confidence, answer.verdict)",
  )
  return lines.join("\n")
}

function javascript({ address, base64, file, key }) {
  const header = key ? ", Authorization: `Bearer ${process.env.DIGITS_API_KEY}`" : ""
  const lines = file
    ? [
        `import { readFile } from "node:fs/promises"`,
        "",
        `const image = (await readFile(${JSON.stringify(file)})).toString("base64")`,
      ]
    : [`const image = "${base64}"`]
  return [
    ...lines,
    `const response = await fetch("${address}predict", {`,
    `  method: "POST",`,
    `  headers: { "Content-Type": "application/json"${header} },`,
    "  body: JSON.stringify({ image }),",
    "})",
    "const answer = await response.json()",
    "console.log(answer.digit, answer.confidence, answer.verdict)",
  ].join("\n")
}

function shell(name) {
  return /^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`
}

/** The programs by name, for { address, base64 or file, key }. */
export function programs(picture) {
  return { curl: curl(picture), Python: python(picture), JavaScript: javascript(picture) }
}

async function copy(button, text) {
  try {
    await navigator.clipboard.writeText(text)
    button.textContent = "Copied"
  } catch {
    // Clipboards are for secure pages only.
    button.textContent = "Select it and copy"
  }
  setTimeout(() => {
    button.textContent = "Copy"
  }, 2000)
}

/** Shows them, the picture shortened; what is copied has all of it. */
export function showPrograms(element, picture) {
  element.replaceChildren(
    ...Object.entries(programs(picture)).map(([name, text]) => {
      const shown = picture.base64 ? text.replace(picture.base64, `${picture.base64.slice(0, SHOWN)}…`) : text
      const button = html(
        "button",
        { type: "button", "aria-label": `Copy ${name}`, onclick: () => copy(button, text) },
        "Copy",
      )
      return html(
        "figure",
        {},
        html("figcaption", {}, html("h3", {}, name), button),
        html("pre", { tabindex: "0", "aria-label": name }, html("code", {}, shown)),
      )
    }),
  )
}
