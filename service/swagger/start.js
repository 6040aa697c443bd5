// Apart from index.html, since the Content-Security-Policy allows no inline scripts.
SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "openapi.json", // relative: it works under any root path
  deepLinking: true,
  validatorUrl: null, // else the document of a public service would be sent to one that validates it
})
