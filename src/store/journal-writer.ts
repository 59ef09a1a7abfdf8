/**
 * The thread that writes the journal of a SQLite file: a connection of its own, whose commits wait for the disk while the
 * event loop of the service goes on. It is told groups, and what is large, one after another, and answers each in order.
 */
import { type MessagePort, parentPort, workerData } from "node:worker_threads"
import { AssayError } from "../errors.ts"
import { createKeepLogs } from "./event-logs.ts"
import { DeviceMemory } from "./held-devices.ts"
import { createChainWriter } from "./journal-append.ts"
import { commitGroup } from "./journal-commit.ts"
import {
  fromMessage,
  refusalToMessage,
  type ThreadMessage,
  type ThreadStart,
  writtenMessage,
} from "./journal-message.ts"
import { openSqlite, sqliteDatabase } from "./sqlite-database.ts"
import { doTask, type LargeParts, movable, type ThreadTask } from "./thread-task.ts"
import { forgetUndone } from "./undone.ts"

const serve = (port: MessagePort, { path, writer }: ThreadStart): void => {
  const chains = createChainWriter(writer)
  const memory = new DeviceMemory()
  const database = forgetUndone(sqliteDatabase(openSqlite(path)), chains, memory)
  const answer = (message: ThreadMessage, moved: ArrayBuffer[] = []): void => port.postMessage(message, moved)
  const failed = (cause: unknown): void =>
    answer({ kind: "failed", reason: cause instanceof Error ? cause.message : "unknown" })
  const createLarge = (): LargeParts => {
    const own = createChainWriter(writer)
    const beside = forgetUndone(sqliteDatabase(openSqlite(path)), own)
    return { chains: own, database: beside, keepLogs: createKeepLogs(beside) }
  }
  let large: LargeParts | undefined
  const doLarge = async (task: ThreadTask): Promise<void> => {
    try {
      large ??= createLarge()
      const done = await doTask(task, large)
      answer(done, movable(done))
    } catch (cause) {
      if (cause instanceof AssayError) answer({ kind: "refused", refusal: refusalToMessage(cause) })
      else failed(cause)
    }
  }
  port.on("message", (message: Uint8Array | ThreadTask) => {
    if (message instanceof Uint8Array)
      database
        .write(() => commitGroup(chains, fromMessage(message), memory))
        .then((outcome) => answer(writtenMessage(outcome)), failed)
    else void doLarge(message)
  })
}

if (parentPort !== null) serve(parentPort, workerData)
