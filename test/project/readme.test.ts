import { existsSync, readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { settingsTable } from "../../src/SettingsTable.ts"

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")

/** The table as the README must have it. */
const table = [
  "| variable | default | |",
  "|---|---|---|",
  ...Object.values(settingsTable).map(({ env, byDefault, doc }) => {
    const value = byDefault.startsWith("(") ? byDefault.slice(1, -1) : `\`${byDefault}\``
    return `| \`${env}\` | ${value} | ${doc.replaceAll("<", "&lt;")} |`
  })
].join("\n")

describe("README", () => {
  it("lists every setting as trailsd reads it", () => {
    const written = read("README.md").match(/^\| variable [\s\S]*?(?=\n\n)/m)?.[0]
    expect(written).toBe(table)
  })

  it.for(["README.md", "docs/architecture.md", "docs/operations.md"])("%s links only to files that exist", (file) => {
    const folder = file.includes("/") ? `${file.split("/")[0]}/` : ""
    const links = [...read(file).matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, link]) => link ?? "")
    expect(links.length).toBeGreaterThan(0)
    for (const link of links) expect(existsSync(new URL(`../../${folder}${link}`, import.meta.url)), link).toBe(true)
  })

  it("the licence in package.json is the one in LICENSE", () => {
    const { license } = JSON.parse(read("package.json")) as { readonly license: string }
    expect(license).toBe("(Apache-2.0 OR MIT)")
    expect(read("LICENSE")).toContain("SPDX-License-Identifier: Apache-2.0 OR MIT")
  })
})
