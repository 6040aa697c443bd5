// Elements, made in one line. Text is only ever text.

const SVG = "http://www.w3.org/2000/svg"

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("--")) element.style.setProperty(name, value)
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value)
    else if (value === true) element.setAttribute(name, "")
    else if (value !== null && value !== false) element.setAttribute(name, value)
  }
  element.append(...children)
  return element
}

/** An HTML element. Attributes that begin with -- are custom properties of its style, with `on` listeners. */
export function html(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children)
}

/** An element of a drawing. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children)
}

/** A bar from the middle: to the right above zero, to the left below, full at `limit`. */
export function bar(value, limit) {
  return html("span", {
    class: `signed ${value < 0 ? "minus" : "plus"}`,
    "--size": Math.min(1, Math.abs(value) / limit),
  })
}

/** The element of this id. */
export function byId(id) {
  return document.getElementById(id)
}
