import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

/** Collects what nobody holds any more. */
export const collect = (): void => {
  setFlagsFromString("--expose-gc")
  const gc = runInNewContext("gc")
  // What the first has found, is given back by others; the second waits for them.
  for (let i = 0; i < 2; i++) gc()
}
