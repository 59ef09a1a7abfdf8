import { createHash } from "node:crypto"
import type { Random } from "../../../src/service/ports.ts"

/** Bytes that are different in each call and for each seed, and the same in each run. */
export const seededRandom = (seed: string): Random => {
  let calls = 0
  return {
    bytes: (size) =>
      new Uint8Array(createHash("shake256", { outputLength: size }).update(`${seed}/${calls++}`).digest()),
  }
}
