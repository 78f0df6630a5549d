import { describe, expect, it } from "vitest"
import { Pacer } from "../../src/transports/Pacer.ts"

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe("Pacer", () => {
  it("does a bounded number in one turn of the loop, in order, and all of them in the end", async () => {
    const done: Array<number> = []
    const pacer = new Pacer<number>((item) => void done.push(item))
    for (let i = 0; i < 250; i++) pacer.push(i)
    expect(done).toEqual([])
    await turn()
    expect(done).toHaveLength(100)
    pacer.push(250)
    await turn()
    await turn()
    expect(done).toEqual(Array.from({ length: 251 }, (_, i) => i))
    pacer.push(251)
    await turn()
    expect(done.at(-1)).toBe(251)
  })
})
