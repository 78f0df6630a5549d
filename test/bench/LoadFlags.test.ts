import { describe, expect, it } from "vitest"
import { type LoadFlags, readFlags } from "../../bench/load/LoadFlags.ts"

const flags = (args: string): LoadFlags => {
  const command = readFlags(args === "" ? [] : args.split(" "))
  if (command._tag !== "Run") throw new Error(JSON.stringify(command))
  return command.flags
}

describe("flags of load", () => {
  it("has good defaults", () => {
    expect(flags("")).toEqual({
      urls: [new URL("ws://127.0.0.1:8443/ws")],
      level: "open",
      legacy: false,
      nodes: 100,
      end: { seconds: 10 },
      rate: null,
      window: 8,
      payload: 100,
      processes: 1,
      nodesPerSocket: 1,
      width: 200,
      adminKeyFile: null,
      json: false
    })
  })

  it("takes URLs by commas and one by one, with /ws as the path when there is none", () => {
    const { urls } = flags("--url ws://a:1,wss://b/x --url ws://[::1]:2/")
    expect(urls.map(({ href }) => href)).toEqual(["ws://a:1/ws", "wss://b/x", "ws://[::1]:2/ws"])
  })

  it.for([
    ["--nodes 500", 1],
    ["--nodes 501", 2],
    ["--nodes 10000", 2],
    ["--nodes 10001", 3],
    ["--nodes 10000 --processes 4", 4],
    ["--nodes 2 --processes 8", 2],
    ["--nodes 20 --nodes-per-socket 10 --processes 8", 2]
  ] as const)("%s: %i processes", ([args, processes]) => {
    expect(flags(args).processes).toBe(processes)
  })

  it.for([
    ["--nodse 5", "--nodse. Did you mean --nodes?"],
    ["--admin-kye x", "Did you mean --admin-key?"],
    ["-n 5", "does not take -n."],
    ["5", 'takes no "5"'],
    ["--nodes", "--nodes needs a value: --nodes N"],
    ["--nodes=", "--nodes needs a value"],
    ["--json=yes", "--json takes no value"],
    ["--nodes 5 --nodes 6", "--nodes is given twice"],
    ["--nodes 0", "whole number from 1 to 1000000"],
    ["--nodes 1.5", "whole number"],
    ["--nodes 0x10", "whole number"],
    ["--seconds -1", "a number from"],
    ["--payload 3", "from 16"],
    ["--seconds 5 --messages 5", "not both"],
    ["--level full", '--level is open or signed, not "full"'],
    ["--legacy --level signed", "--level open only"],
    ["--legacy --nodes-per-socket 2", "a socket for each node"],
    ["--nodes 5001 --processes 1", "need at least 2 processes"],
    ["--url http://a/ws", "WebSocket endpoints"],
    ["--url ws://u:p@a/ws", "neither a user"],
    ["--url ws://a,,ws://b", "WebSocket endpoints"],
    ["--url nonsense", "WebSocket endpoints"]
  ] as const)("%s is refused with the remedy", ([args, said]) => {
    const command = readFlags(args.split(" "))
    expect(command).toMatchObject({ _tag: "Wrong", text: expect.stringContaining(said) as string })
    expect(command).toMatchObject({ text: expect.stringContaining("--help") as string })
  })

  it("--help names every flag that there is a member for", () => {
    const command = readFlags(["--nodes", "5", "--help"])
    const text = command._tag === "Print" ? command.text : ""
    for (const name of [
      ...["url", "nodes", "seconds", "messages", "level", "legacy", "rate", "window", "payload", "processes"],
      ...["nodes-per-socket", "width", "admin-key", "json"]
    ])
      expect(text).toContain(`  --${name}`)
  })
})
