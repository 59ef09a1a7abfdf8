import type { Bucket } from "./admission.ts"

/** A check that has not answered for so long may never do, and nobody else is to wait for it. */
const JOINED_MS_MAX = 2000

/**
 * Gives what `make` gives, which is called as often as `bucket` grants and once at a time: whoever asks meanwhile gets what
 * was made last, or is being made. So it is never older than what one takes from the bucket takes to come back. That it
 * failed is told in the same way.
 *
 * @param nowMs A clock that never goes back.
 */
export function kept<T>(
  make: () => T | Promise<T>,
  bucket: Pick<Bucket, "take">,
  nowMs = (): number => performance.now(),
): () => Promise<T> {
  let last: Promise<T> | undefined
  /** Of what is being made: when it was begun. */
  let begunMs: number | undefined
  return () => {
    const now = nowMs()
    const isJoined = begunMs !== undefined && now - begunMs < JOINED_MS_MAX
    if (last !== undefined && (isJoined || bucket.take("", now) > 0)) return last
    begunMs = now
    const made = new Promise<T>((resolve) => resolve(make())).finally(() => {
      if (last === made) begunMs = undefined
    })
    last = made
    return made
  }
}
