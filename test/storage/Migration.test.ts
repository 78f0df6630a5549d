import { describe, expect, it } from "vitest"
import { bundledMigrations, migrationOf, newestOf } from "../../src/storage/Migration.ts"

/** What a replica that doesn't know of it would trip over, or what holds a table that grows for as long as it is large. */
const HARMFUL =
  /\bdrop\b|\brename\b|set not null|\btype\b|add constraint|\btruncate\b|\bdelete\b|^update\b|not null(?! default)|create (?:unique )?index (?!if not exists)/im

/** Of its statements, without the bodies of functions. */
const harmIn = (text: string): string | null =>
  HARMFUL.exec(
    text
      .replaceAll(/--.*$/gm, "")
      .replaceAll(/\$(\w*)\$[\s\S]*?\$\1\$/g, "")
      .replaceAll(/create table[^;]*;/gi, "")
  )?.[0] ?? null

describe("what a migration says of replicas that don't know it", () => {
  it("up to 000009 nothing, so that it is for those that know it; then they may go on, or need one at least", () => {
    expect(migrationOf(9, "old", "select 1").requires).toBe(9)
    expect(migrationOf(10, "wider", "-- expand\nselect 1").requires).toBe(0)
    expect(migrationOf(12, "narrower", "-- contract 11\nselect 1").requires).toBe(11)
    for (const text of [
      "select 1",
      "-- expand it\n",
      " -- expand\n",
      "-- contract\n",
      "-- contract 13\n",
      "-- contract 0\n"
    ])
      expect(() => migrationOf(12, "vague", text)).toThrow(/migration 12/)
  })

  it("is true of those of this version: what expands takes nothing away, and holds no table for long", () => {
    const marked = bundledMigrations().filter(({ number }) => number > 9)
    expect(marked.length).toBeGreaterThan(0)
    expect(newestOf(marked)).toBe(bundledMigrations().length)
    expect(marked.filter(({ requires, text }) => requires === 0 && harmIn(text) !== null)).toEqual([])
  })

  it.for([
    "alter table a drop column b;",
    "alter table a rename column b to c;",
    "alter table a alter column b type int8;",
    "alter table a alter column b set not null;",
    "alter table a add column b int not null;",
    "update a set b = 1;",
    "create index b on a (c);"
  ])("%s does not expand", (text) => {
    expect(harmIn(`-- expand\n${text}\n`)).not.toBeNull()
  })

  it.for([
    "alter table a add column b int;",
    "alter table a add column b int not null default 0;",
    "create table a (b int not null);",
    "create index if not exists b on a (c);"
  ])("%s does", (text) => {
    expect(harmIn(`-- expand\n${text}\n`)).toBeNull()
  })
})
