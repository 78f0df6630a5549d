import { afterAll, expect, it } from "vitest"
import { Tour } from "./tour/Tour.ts"

const tour = new Tour()
afterAll(async () => {
  await tour.close()
})

it("the README's first five minutes print what it says", async () => {
  expect(tour.length).toBeGreaterThan(5)
  expect(await tour.run()).toBeNull()
})
