// Serves this page, and the two packages that it imports, on 127.0.0.1. What a real site does with its own web server.
//
//   node browser/serve.mjs          http://127.0.0.1:8080; another port by PORT
import { readFile } from "node:fs/promises"
import { createServer } from "node:http"
import { createRequire } from "node:module"
import { dirname, extname, join, sep } from "node:path"
import { fileURLToPath } from "node:url"

const port = Number(process.env.PORT ?? 8080)
const client = fileURLToPath(import.meta.resolve("@trailsd/client/package.json"))
const noble = createRequire(client).resolve("@noble/ed25519")

/** Longest prefix first. */
const folders = [
  ["/packages/@trailsd/client/", dirname(client)],
  ["/packages/@noble/ed25519/", dirname(noble)],
  ["/", import.meta.dirname ?? dirname(fileURLToPath(import.meta.url))]
]
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" }

/** The file behind a path; null when there is none for anybody to see. */
const fileOf = (path) => {
  const [prefix, folder] = folders.find(([start]) => path.startsWith(start))
  const file = join(folder, path === "/" ? "index.html" : path.slice(prefix.length))
  return file.startsWith(folder + sep) && extname(file) in types ? file : null
}

const server = createServer(async (request, response) => {
  try {
    const file = fileOf(decodeURIComponent(new URL(request.url, "http://page").pathname))
    if (file === null || request.method !== "GET") throw new Error("no such file")
    const body = await readFile(file)
    response.setHeader("content-type", `${types[extname(file)]}; charset=utf-8`)
    response.setHeader("cache-control", "no-cache")
    response.end(body)
  } catch {
    response.writeHead(404, { "content-type": "text/plain" }).end("not found\n")
  }
})
server.on("error", (error) => {
  console.error(`can't listen on port ${port} (${error.code}): choose another one by PORT`)
  process.exit(1)
})
server.listen(port, "127.0.0.1", () => {
  const origin = `http://127.0.0.1:${server.address().port}`
  console.log(`${origin}  trailsd must allow it: TRAILS_ALLOWED_ORIGINS=${origin} npm start`)
})
