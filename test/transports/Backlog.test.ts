import { expect, it } from "vitest"
import { Backlog } from "../../src/transports/Backlog.ts"
import type { TrailsSocket } from "../../src/transports/TrailsSocket.ts"

const backlogOf = (most: number) => {
  const socket = {
    bufferedAmount: 0,
    drained: [] as Array<() => void>,
    onceDrained: (then: () => void) => {
      socket.drained.push(then)
    }
  }
  return { socket, backlog: new Backlog(socket as unknown as TrailsSocket, most) }
}

it("what nodes of one socket are about to send counts before it is written: together they do not overfill it", () => {
  const { backlog, socket } = backlogOf(100)
  backlog.setAside(60)
  expect(backlog.isFull).toBe(false)
  backlog.setAside(60)
  expect(backlog.isFull).toBe(true)
  socket.bufferedAmount = 60
  backlog.setAside(-60)
  expect(backlog.isFull).toBe(true)
})

it("whoever waits goes on when the peer has read, or when nothing was sent after all; once", () => {
  const { backlog, socket } = backlogOf(100)
  let fed = 0
  backlog.setAside(100)
  for (let i = 0; i < 3; i++) backlog.whenRoom(() => fed++)
  expect(socket.drained).toHaveLength(1)
  backlog.setAside(-100)
  expect(fed).toBe(3)
  backlog.whenRoom(() => fed++)
  expect(socket.drained).toHaveLength(1)
  socket.drained[0]?.()
  expect(fed).toBe(4)
})
