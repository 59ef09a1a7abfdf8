/** The commands that serve, and that make what a server needs. */
import { resolve } from "node:path"
import type { AddCommand } from "../cli/command.ts"
import { addInit, addServe, type InitFiles, type ServeParts } from "../cli/serve.ts"
import type { Config } from "../config.ts"
import { createRandom } from "../keys/random.ts"
import { initKeys } from "./keys.ts"
import { createLog } from "./log.ts"
import { openStore } from "./store.ts"

/** Makes the tables, the signing key and the device CA of servers outside development mode, unless they are there. */
const init = async (config: Config): Promise<InitFiles> => {
  const folder = resolve(config.data)
  const random = createRandom()
  const store = await openStore(config, folder, random, { how: "alone" })
  try {
    return await initKeys(config, folder, { keys: store.keys, clock: { now: () => new Date() }, random })
  } finally {
    await store.close()
  }
}

const stopped = (): Promise<string> =>
  new Promise((told) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => told(signal))
  })

/** `assay serve`. */
export const serveCommand = (start: ServeParts["start"]): AddCommand =>
  addServe({ start, createLog, stopped })

/** `assay init`. */
export const initCommand = addInit({ init })
