/** What is made once for all runs of the tests, for to make it takes long. */
import { cpSync, existsSync, mkdirSync, renameSync, rmSync } from "node:fs"
import { dirname } from "node:path"

/**
 * Keeps a copy of the folder `made` as `kept`, unless another process was faster.
 *
 * @param copy Copies the folder its own way.
 */
export function keep(
  made: string,
  kept: string,
  copy = (from: string, to: string): void => cpSync(from, to, { recursive: true }),
): void {
  mkdirSync(dirname(kept), { recursive: true })
  const own = `${kept}.${process.pid}`
  copy(made, own)
  try {
    renameSync(own, kept)
  } catch (error) {
    rmSync(own, { recursive: true })
    if (!existsSync(kept)) throw error
  }
}
