/** Whether a device has attested lately. It tells of silence and decides nothing: no state of a device ever moves by it. */

/** `fresh` and `due`: its last session goes on. `overdue`: that has ended. `silent`: long ago, or never. */
export const FRESHNESSES = ["fresh", "due", "overdue", "silent"] as const

/** One of them. */
export type Freshness = (typeof FRESHNESSES)[number]

/** The share of a session's lifetime after which a device should attest again: as results say it (`attestAt`). */
const DUE_NUMERATOR = 2
const DUE_DENOMINATOR = 3

/** The longest that a policy may let a session live. */
const LIFETIME_MS_MAX = 86_400_000

/**
 * The freshness of a device.
 *
 * @param admittedAt When it last got a session, if it ever did.
 * @param lifetimeMs How long sessions live under its policy; nothing without a policy, under which there are none.
 * @param silenceMs From when on it counts as silent, whatever its policy says.
 */
export const freshnessOf = (
  admittedAt: Date | undefined,
  lifetimeMs: number | undefined,
  silenceMs: number,
  at: Date,
): Freshness => {
  if (admittedAt === undefined) return "silent"
  const age = at.getTime() - admittedAt.getTime()
  if (age > silenceMs) return "silent"
  if (lifetimeMs === undefined || age >= lifetimeMs) return "overdue"
  return age * DUE_DENOMINATOR >= lifetimeMs * DUE_NUMERATOR ? "due" : "fresh"
}

/**
 * When devices of this freshness can have got their last session: all of them, and others besides unless it is `silent`, for
 * lifetimes differ by policy.
 */
export const sessionsOf = (
  freshness: Freshness,
  silenceMs: number,
  at: Date,
): { readonly silentSince?: Date; readonly seenSince?: Date } => {
  const ago = (ms: number): Date => new Date(at.getTime() - ms)
  switch (freshness) {
    case "silent":
      return { silentSince: ago(silenceMs) }
    case "overdue":
      return { seenSince: ago(silenceMs) }
    case "fresh":
    case "due":
      return { seenSince: ago(Math.min(silenceMs, LIFETIME_MS_MAX)) }
  }
}
