import fc from "fast-check"

/** Surrogates are no characters of their own. */
const SURROGATES = { first: 0xd800, count: 0x800 }

/** Any character of Unicode. The library's own makes a table of all of them first, which takes it a second. */
export const character: fc.Arbitrary<string> = fc
  .nat(0x10ffff - SURROGATES.count)
  .map((n) => String.fromCodePoint(n < SURROGATES.first ? n : n + SURROGATES.count))
