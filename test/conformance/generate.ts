import { mkdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { frameVectors } from "./FrameVectors.ts"
import { ed25519Vectors, keyVectors } from "./KeyVectors.ts"
import { legacyTranscripts } from "./LegacyTranscripts.ts"
import { signedFrameVectors } from "./SignedVectors.ts"
import { startDayVectors, subjectVectors } from "./SubjectVectors.ts"
import { chainVectors, envelopeVectors, ticketVectors } from "./TicketVectors.ts"

export const VECTORS = fileURLToPath(new URL("./vectors", import.meta.url))

/** Every vector file by its name, byte for byte: the same on every machine and in every run. */
export const vectorFiles = (): ReadonlyMap<string, string> => {
  const files: ReadonlyArray<readonly [string, unknown]> = [
    ["keys.json", keyVectors()],
    ["ed25519.json", ed25519Vectors()],
    ["frames.json", frameVectors()],
    ["signed-frames.json", signedFrameVectors()],
    ["envelopes.json", envelopeVectors()],
    ["tickets.json", ticketVectors()],
    ["chains.json", chainVectors()],
    ["subjects.json", subjectVectors()],
    ["start-day.json", startDayVectors()],
    ...legacyTranscripts().map((file) => [`legacy/${file.name}.json`, file] as const)
  ]
  return new Map(files.map(([name, value]) => [name, `${JSON.stringify(value, null, 1)}\n`]))
}

/** `node test/conformance/generate.ts` writes the vectors anew. */
if (import.meta.main) {
  for (const [name, text] of vectorFiles()) {
    const path = join(VECTORS, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
}
