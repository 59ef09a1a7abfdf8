import type { Meter } from "../../src/service/ports.ts"

/** A meter that counts nothing. */
export const UNMETERED: Meter = { run: (_, act) => act(), charge: () => {} }
