/** Turns that processes take with each other; the supervisor keeps them, and takes its own among them. */
export interface SharedTurns {
  /** What one process offers its supervisor's turns by, from its start until it has left. */
  join(member: number): { readonly turn: () => Promise<void>; readonly turnEnds: () => void }
  /** It has ended: its turn is over, and those that it waited for are nobody's. */
  leave(member: number): void
}

/** @param turns Those of the supervisor's own process. */
export function shareTurns(turns: { take(act: () => Promise<void>): Promise<void> }): SharedTurns {
  const joined = new Map<number, { end: () => void; isGone: boolean }>()
  return {
    join(member) {
      const own = { end: () => {}, isGone: false }
      joined.set(member, own)
      const turn = (): Promise<void> =>
        new Promise((granted, refused) => {
          const act = (): Promise<void> =>
            new Promise((ended) => {
              if (own.isGone) return ended()
              own.end = ended
              granted()
            })
          turns.take(act).catch(refused)
        })
      return { turn, turnEnds: () => own.end() }
    },
    leave(member) {
      const own = joined.get(member)
      joined.delete(member)
      if (own === undefined) return
      own.isGone = true
      own.end()
    },
  }
}
