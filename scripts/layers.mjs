// Dependencies run main → transports → actors → supervision → storage contracts → protocol, never upward. The client
// stands on the protocol alone; the command line on the client, without Effect, since it must start at once; so does the library for subscribers to events. An import of a type counts like any other.
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, normalize, relative } from "node:path"

const anything = /./
const builtin = "node:"

/** Per layer: the layers it may import, and the packages. */
const layers = {
  entry: { folders: /./, packages: anything },
  root: { folders: /^(?:root|protocol)$/, packages: /^(?:effect|@effect\/|@opentelemetry\/|node:)/ },
  transports: {
    folders: /^(?:transports|actors|supervision|storage|keys|protocol)$/,
    packages: /^(?:effect|@effect\/|ws$|@nats-io\/|node:)/
  },
  actors: { folders: /^(?:actors|supervision|storage|keys|protocol)$/, packages: /^(?:effect|node:)/ },
  supervision: { folders: /^(?:supervision|storage|protocol)$/, packages: /^(?:effect|node:)/ },
  storage: { folders: /^(?:storage|protocol)$/, packages: /^(?:effect|pg$|@electric-sql\/pglite|node:)/ },
  events: { folders: /^(?:events|client|protocol)$/, packages: /^(?:@nats-io\/(?:jetstream|transport-node)$|node:)/ },
  cli: { folders: /^(?:cli|run|client|keys|protocol)$/, packages: /^(?:commander$|node:)/ },
  run: { folders: /^(?:run|client|protocol)$/, packages: /^node:/ },
  keys: { folders: /^(?:keys|protocol)$/, packages: /^node:/ },
  client: { folders: /^(?:client|protocol)$/, packages: /^(?:ws$|@noble\/ed25519$|node:)/ },
  protocol: { folders: /^protocol$/, packages: /^@noble\/ed25519$/ }
}

const entries = new Set(["main.ts", "cli.ts"])
const importableByAnyone = new Set(["Settings.ts", "Telemetry.ts"])
const independent = new Set(["cli", "events", "run", "keys", "client", "protocol"])

/** Only the entry point chooses an adapter; everybody else knows the contract (`storage/NodeStore.ts`). */
const adapter = /^storage\/(?:Pg|Pglite|Postgres|Migrator|sql\/|migrations\/)/

const layerOf = (file) => {
  const [first, ...rest] = file.split("/")
  if (rest.length > 0) return first
  return entries.has(first) ? "entry" : "root"
}

/** `from "x"`, `import "x"`, `import("x")` and `new URL("./x.ts", import.meta.url)`. */
const specifiers = /\b(?:from\s|import\b\s*\(?)\s*"([^"\n]+)"|new URL\(\s*"([^"\n]+\.ts)",\s*import\.meta\.url/g
const comments = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm

const refusal = (from, specifier) => {
  const layer = layerOf(from)
  const rule = layers[layer]
  if (rule === undefined) return `the folder ${layer}/ has no place among the layers; give it one in scripts/layers.mjs`
  if (!specifier.startsWith(".")) {
    if (rule.packages.test(specifier)) return null
    return specifier.startsWith(builtin)
      ? `${layer} must run without Node's own modules`
      : `${layer} may not depend on the package ${specifier}`
  }
  const target = normalize(join(dirname(from), specifier))
  if (target.startsWith("..")) return "src may not import from outside of src"
  if (importableByAnyone.has(target) && !independent.has(layer)) return null
  if (entries.has(target)) return "nothing imports an entry point"
  if (!rule.folders.test(layerOf(target))) return `${layer} may not import ${layerOf(target)}`
  if (adapter.test(target) && layer !== "storage" && layer !== "entry") {
    return "only main.ts chooses an adapter; import the contract"
  }
  return null
}

const source = join(process.argv[2] ?? ".", "src")
const files = readdirSync(source, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
  .map((entry) => relative(source, join(entry.parentPath, entry.name)))
const refused = files.flatMap((file) => {
  const text = readFileSync(join(source, file), "utf8").replace(comments, "")
  return [...text.matchAll(specifiers)].flatMap(([, imported, url]) => {
    const specifier = imported ?? url
    const reason = refusal(file, specifier)
    return reason === null ? [] : [`src/${file} imports "${specifier}": ${reason}`]
  })
})
for (const line of refused) console.error(line)
if (files.length === 0) console.error(`No sources in ${source}.`)
process.exit(refused.length === 0 && files.length > 0 ? 0 : 1)
