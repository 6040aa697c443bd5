// The chapters in the masthead: the one on the screen is marked, and on a phone the row scrolls to it.

/** Watches the chapters that the links of a navigation lead to. */
export function watchChapters(nav) {
  const links = new Map(
    [...nav.querySelectorAll('a[href^="#"]')].map((link) => [document.getElementById(link.hash.slice(1)), link]),
  )
  const seen = new Set()

  function mark() {
    const current = [...links.keys()].find((chapter) => seen.has(chapter))
    if (!current) nav.scrollTo({ left: 0 })
    for (const [chapter, link] of links) {
      if (chapter !== current) link.removeAttribute("aria-current")
      else if (!link.hasAttribute("aria-current")) {
        link.setAttribute("aria-current", "true")
        nav.scrollTo({ left: link.offsetLeft - nav.offsetLeft - nav.clientWidth / 3 })
      }
    }
  }

  const observer = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) seen[entry.isIntersecting ? "add" : "delete"](entry.target)
      mark()
    },
    // A chapter is on the screen when it is across the line a third down.
    { rootMargin: "-33% 0px -66% 0px" },
  )
  for (const chapter of links.keys()) observer.observe(chapter)
}
