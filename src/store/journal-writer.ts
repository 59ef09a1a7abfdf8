/**
 * The thread that writes the journal of a SQLite file: a connection of its own, whose commits wait for the disk while the
 * event loop of the service goes on. It is told groups one after another, and answers each.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads"
import { DeviceMemory } from "./held-devices.ts"
import { createChainWriter } from "./journal-append.ts"
import { commitGroup } from "./journal-commit.ts"
import { fromMessage, type ThreadMessage, type ThreadStart, writtenMessage } from "./journal-message.ts"
import { openSqlite, sqliteDatabase } from "./sqlite-database.ts"
import { forgetUndone } from "./undone.ts"

const serve = (port: MessagePort, { path, writer }: ThreadStart): void => {
  const chains = createChainWriter(writer)
  const memory = new DeviceMemory()
  const database = forgetUndone(sqliteDatabase(openSqlite(path)), chains, memory)
  const answer = (message: ThreadMessage): void => port.postMessage(message)
  port.on("message", (message: Uint8Array) => {
    database
      .write(() => commitGroup(chains, fromMessage(message), memory))
      .then(
        (outcome) => answer(writtenMessage(outcome)),
        (cause: unknown) =>
          answer({ kind: "failed", reason: cause instanceof Error ? cause.message : "unknown" }),
      )
  })
}

if (parentPort !== null) serve(parentPort, workerData)
