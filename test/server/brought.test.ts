import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { Server } from "node:net"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type Doors, openDoors } from "../../src/server/brought.ts"
import type { Listen } from "../../src/server/listen.ts"
import { rejectsCode } from "../support/assert.ts"
import { inFolder } from "./fake.ts"

const test = suite("openDoors")
const LISTENS = "tracing:net.server.listen:asyncStart"

/** Opens listeners, and gives with them what `node:net` has of each that was tried. */
const opening = async (listen: readonly Listen[]) => {
  const servers: Server[] = []
  const heard = (message: unknown): void => {
    if (typeof message !== "object" || message === null || !("server" in message)) return
    if (message.server instanceof Server) servers.push(message.server)
  }
  subscribe(LISTENS, heard)
  const [opened] = await Promise.allSettled([openDoors(listen, true, (_, socket) => void socket.destroy())])
  unsubscribe(LISTENS, heard)
  return { opened, servers }
}

/** Runs `act` with an open listener. */
const withDoors = (at: (folder: string) => Listen, act: (doors: Doors, server: Server) => Promise<void>) =>
  inFolder(async (folder) => {
    const { opened, servers } = await opening([at(folder)])
    const [server] = servers
    if (opened.status === "rejected" || server === undefined) throw new TypeError("a listener")
    try {
      await act(opened.value, server)
    } finally {
      opened.value.close()
    }
  })

const kinds: readonly [kind: string, at: (folder: string) => Listen][] = [
  ["a port", () => "127.0.0.1:0"],
  ["a socket file", (folder) => `unix:${join(folder, "assay.sock")}`],
]
for (const [kind, at] of kinds)
  test(`refuses S-08 to end by connections at ${kind} that cannot be accepted`, () =>
    withDoors(at, async (_, server) => {
      const error = Object.assign(new Error("accept"), { code: "EMFILE" })
      for (let i = 0; i < 3; i++) assert.not.throws(() => server.emit("error", error))
      assert.ok(server.listening)
    }))

for (const [kind, at] of kinds)
  test(`refuses ${kind} that somebody listens on already, and leaves no other open`, () =>
    withDoors(at, async ({ addresses: [taken = ""] }) => {
      const { opened, servers } = await opening(["127.0.0.1:0", taken])
      const failed = opened.status === "rejected" ? Promise.reject(opened.reason) : Promise.resolve()
      await rejectsCode(() => failed, "INPUT")
      for (const server of servers) assert.is(server.listening, false)
    }))

test.run()
