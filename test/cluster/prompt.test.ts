import { describe, expect, it } from "vitest"
import { clusterHelp, readClusterCommand } from "./ClusterCommand.ts"

describe("a line of the prompt", () => {
  it.for([
    ["state", { verb: "state" }],
    ["  ", { verb: "nothing" }],
    ["kill trailsd1", { verb: "kill", name: "trailsd1" }],
    ["pause nats2", { verb: "pause", name: "nats2", milliseconds: undefined }],
    ["pause  nats2 1.5 ", { verb: "pause", name: "nats2", milliseconds: 1500 }],
    ["resume", { verb: "resume", name: undefined }],
    ["cut trailsd2 nats", { verb: "cut", name: "trailsd2", link: "nats", mode: "silent" }],
    ["cut trailsd2 clients reset", { verb: "cut", name: "trailsd2", link: "clients", mode: "reset" }],
    ["delay trailsd1 postgres 0.2", { verb: "delay", name: "trailsd1", link: "postgres", milliseconds: 200 }],
    ["lose trailsd1 nats 0.1", { verb: "lose", name: "trailsd1", link: "nats", rate: 0.1 }],
    ["heal trailsd2", { verb: "heal", name: "trailsd2" }],
    ["restart postgres", { verb: "restart", name: "postgres" }]
  ] as const)("%s", ([line, command]) => {
    expect(readClusterCommand(line)).toEqual(command)
  })

  it.for([
    ["puse nats1", "did you mean pause?"],
    ["dance", "There are state, kill, pause"],
    ["toString", 'there is no command "toString"'],
    ["kill", "it is: kill <process>"],
    ["kill trailsd1 trailsd2", "it is: kill <process>"],
    ["pause nats1 long", "the time is a number from 0.001 to 86400; not long"],
    ["pause nats1 0", "the time is a number"],
    ["pause nats1 Infinity", "the time is a number"],
    ["cut trailsd1", "it is: cut <replica> clients|postgres|nats [silent|reset]"],
    ["cut trailsd1 moon", "a replica can be cut from: clients, postgres, nats; not moon"],
    ["cut trailsd1 nats softly", "a cut is: silent, reset; not softly"],
    ["lose trailsd1 nats 1", "the rate is a number from 0 to 0.9; not 1"]
  ] as const)("%s → %s", ([line, problem]) => {
    expect(() => readClusterCommand(line)).toThrow(problem)
  })

  it("help has a line for each command", () => {
    expect(clusterHelp().split("\n")).toHaveLength(11)
  })
})
