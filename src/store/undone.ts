import type { Database } from "./database.ts"
import type { DeviceMemory } from "./held-devices.ts"
import type { ChainWriter } from "./journal-append.ts"

/**
 * The database, for one of several connections of a process that append to the same chains: of a transaction that was undone,
 * only what it found is held against the chain afterwards, for others may have gone on from there. For an engine that does a
 * transaction in one go, and always knows what became of it.
 *
 * @param memory What the connection knows of devices, which is nothing then.
 */
export const forgetUndone = (database: Database, chains: ChainWriter, memory?: DeviceMemory): Database => ({
  ...database,
  write: async (work, options) => {
    let before: ReadonlyMap<string, unknown> = new Map()
    try {
      return await database.write(function* () {
        before = new Map(chains.known)
        return yield* work()
      }, options)
    } catch (error) {
      memory?.forget()
      for (const [key, head] of chains.known)
        if (head !== before.get(key)) chains.known.set(key, { seen: head.seen, written: head.seen })
      throw error
    }
  },
})
