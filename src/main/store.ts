/** Where everything is kept, out of the settings. */
import { join } from "node:path"
import type { Store } from "../store/store.ts"

/** Loaded only here: what builds its statements costs every other command its time. */
export const openStore = async (folder: string): Promise<Store> => {
  const { openSqliteStore } = await import("../store/sqlite.ts")
  return openSqliteStore(join(folder, "assay.db"))
}
