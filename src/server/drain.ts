/** How long answers that were given may take to leave, before connections are cut. */
const FLUSH_MS = 250

/** How many calls are not answered yet. A number, for what a set of them would keep: see `Roll`. */
export interface OpenCalls {
  size: number
}

/** Waits until nobody is connected, or every open call has been answered and had time to leave, or the limit is reached. */
export const drained = (
  open: Readonly<OpenCalls>,
  isEmpty: () => boolean,
  limitMs: number,
): Promise<void> => {
  const limit = performance.now() + limitMs
  let idleSince: number | undefined
  return new Promise((resolve) => {
    const look = (): void => {
      const now = performance.now()
      idleSince = open.size > 0 ? undefined : (idleSince ?? now)
      if (isEmpty() || now >= limit || (idleSince !== undefined && now - idleSince >= FLUSH_MS)) resolve()
      else setTimeout(look, 25)
    }
    look()
  })
}
