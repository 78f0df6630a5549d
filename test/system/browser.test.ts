import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { cpSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { createInterface } from "node:readline"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Chromium } from "../harness/Chromium.ts"
import { findChromium } from "../harness/ChromiumBinary.ts"
import { PackedClient } from "../harness/PackedClient.ts"
import { post, rest } from "../harness/Rest.ts"
import { Trailsd } from "../harness/Trailsd.ts"
import { waitUntil } from "../harness/waitUntil.ts"

const program = findChromium()
const EXAMPLE = resolve(import.meta.dirname, "../../examples/browser")

/** To pack, install and start all that is needed, on a busy machine, milliseconds. */
const START_MS = 300_000

/** A folder for pictures of the page, for whoever wants to look at them. */
const pictures = process.env["BROWSER_PICTURES"]

describe("the page in a browser", () => {
  let packed: PackedClient
  let pages: ChildProcess
  let origin: string
  let server: Trailsd
  let browser: Chromium

  beforeAll(async () => {
    packed = PackedClient.install()
    cpSync(EXAMPLE, join(packed.folder, "browser"), { recursive: true })
    pages = spawn(process.execPath, ["browser/serve.mjs"], {
      cwd: packed.folder,
      stdio: ["ignore", "pipe", "inherit"],
      env: { PORT: "0" }
    })
    const [line] = (await once(createInterface(pages.stdout!), "line")) as [string]
    origin = line.split(" ")[0] ?? ""
    server = await Trailsd.start({ env: { TRAILS_ALLOWED_ORIGINS: origin } })
    if (program === null)
      throw new Error("no Chromium on PATH: npm run test:browser installs one, or says what to install")
    browser = await Chromium.start(program)
  }, START_MS)
  afterAll(async () => {
    await browser?.dispose()
    await server?.dispose()
    pages?.kill()
    packed?.dispose()
  })

  const text = (id: string): Promise<unknown> => browser.evaluate(`document.getElementById("${id}").textContent`)
  const type = (id: string, value: string): Promise<unknown> =>
    browser.evaluate(`document.getElementById("${id}").value = ${JSON.stringify(value)}`)
  const press = (selector: string): Promise<unknown> =>
    waitUntil(`${selector} can be pressed`, () =>
      browser.evaluate(`(() => {
        const button = document.querySelector(${JSON.stringify(selector)})
        if (button.matches(":disabled")) return false
        button.click()
        return true
      })()`)
    )
  const state = (expected: string): Promise<unknown> =>
    waitUntil(
      `the page is ${expected}`,
      async () => (await browser.evaluate(`document.getElementById("state").dataset.state`)) === expected
    )
  const picture = async (name: string): Promise<void> => {
    if (pictures !== undefined) writeFileSync(join(pictures, `${name}.png`), await browser.screenshot())
  }
  const nodeId = async (): Promise<string> =>
    String(await browser.evaluate(`document.querySelector("#stats dd").textContent`))
  const log = async (id: string) => {
    const { body } = await rest(server.http, `apps/${id}/log`)
    return (body as { readonly items: ReadonlyArray<{ readonly kind: string; readonly payload: unknown }> }).items
  }

  it("a root of its own, level open: status, status, result, shutdown", async () => {
    await browser.open(`${origin}/?server=${server.url}`)
    await type("name", "page in a test")
    await press("#connect button")
    await state("attached")
    const id = await nodeId()
    await press('[name="status"]')
    await type("payload", "just text")
    await press('[name="status"]')
    await waitUntil("both are acked", async () => /acked2/.test(String(await text("stats"))))
    await picture("attached")
    await press('[name="result"]')
    await press('[name="shutdown"]')
    await state("ended")
    await waitUntil("it says so", async () => String(await text("log")).includes("everything is stored"))
    const items = await log(id)
    expect(items.map(({ kind }) => kind)).toEqual(["connected", "status", "status", "result"])
    expect(items.slice(1).map(({ payload }) => payload)).toEqual([{ step: 1, of: 3 }, "just text", "just text"])
    expect((await rest(server.http, `apps/${id}`)).body).toMatchObject({ app_name: "page in a test", status: "done" })
    await picture("ended")
  })

  it("a signed root, its TRAILS_INFO pasted: status, error", async () => {
    const { body } = await post(server.http, "roots", { appName: "signed page", secLevel: "signed" })
    const { appId, info } = body as { readonly appId: string; readonly info: string }
    await browser.open(`${origin}/?server=ws://127.0.0.1:1/ws`)
    await type("info", info)
    await press("#connect button")
    await state("attached")
    expect(await nodeId()).toBe(appId)
    await press('[name="status"]')
    await press('[name="error"]')
    await press('[name="shutdown"]')
    await state("ended")
    expect((await log(appId)).map(({ kind }) => kind)).toEqual(["scheduled", "connected", "status", "error"])
    expect((await rest(server.http, `apps/${appId}`)).body).toMatchObject({ status: "error", app_name: "signed page" })
  })

  it("a server that does not know the page's origin lets nothing in, and the page says what to do", async () => {
    const foreign = origin.replace("127.0.0.1", "localhost")
    await browser.open(`${foreign}/?server=${server.url}`)
    await type("name", "uninvited page")
    await press("#connect button")
    await waitUntil("there is a hint", async () => String(await text("hint")).includes("TRAILS_ALLOWED_ORIGINS"))
    expect(await text("hint")).toBe(
      `The server answers, but not to this page. Start it with TRAILS_ALLOWED_ORIGINS=${foreign}`
    )
    await picture("refused")
    expect((await rest(server.http, "apps?name=uninvited%20page")).body).toMatchObject({ items: [] })
  })

  it("where nobody answers the page says so", async () => {
    await browser.open(`${origin}/?server=ws://127.0.0.1:1/ws`)
    await press("#connect button")
    await waitUntil("there is a hint", async () =>
      String(await text("hint")).startsWith("Nothing answers at ws://127.0.0.1:1")
    )
  })

  it("serves the page and the packages, and nothing else", async () => {
    for (const path of [
      "/serve.mjs",
      "/../package.json",
      "/%2e%2e/package.json",
      "/packages/@trailsd/client/package.json"
    ])
      expect((await fetch(origin + path)).status, path).toBe(404)
  })
})
