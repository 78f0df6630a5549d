/** The settings table of README.md: `node test/settings/readmeTable.ts` prints it. */
import { settingsTable } from "../../src/SettingsTable.ts"

export const readmeTable = (): string =>
  [
    "| variable | default | |",
    "|---|---|---|",
    ...Object.values(settingsTable).map(({ byDefault, doc, env }) => {
      const shown = byDefault.startsWith("(") ? byDefault.slice(1, -1) : `\`${byDefault}\``
      return `| \`${env}\` | ${shown} | ${doc.replaceAll("<", "&lt;")} |`
    })
  ].join("\n")

if (process.argv[1] === import.meta.filename) process.stdout.write(`${readmeTable()}\n`)
