import { randomInt } from "node:crypto"
import { createServer } from "node:net"

/**
 * A loopback port that was free a moment ago. Below the ephemeral range: there, a client that keeps dialling a server
 * that is down could be given the very port that it dials, and connect to itself.
 */
export const freePort = async (): Promise<number> => {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(15_000, 30_000)
    const probe = createServer()
    const free = await new Promise<boolean>((resolve) => {
      probe.once("error", () => resolve(false))
      probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)))
    })
    if (free) return port
  }
  throw new Error("no free port between 15000 and 30000 on 127.0.0.1")
}
