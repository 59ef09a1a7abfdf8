declare const verified: unique symbol

/**
 * A value that verification has vouched for: to hold one is the proof. Only `vouch` mints it, only files of
 * `verification/` may import `vouch`, and `test/rooms.test.ts` sees to that.
 */
export type Verified<T> = T & { readonly [verified]: true }

/** Marks `value` as proven. The one place where the brand is minted. */
export const vouch = <T extends object>(value: T): Verified<T> => value as Verified<T>
