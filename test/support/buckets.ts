import { Buckets } from "../../src/server/buckets.ts"
import type { Rate } from "../../src/web/admission.ts"

/** What counts a rate, as the server has it. */
export const bucketOf = (rate: Rate): Buckets => new Buckets(rate, 1024)
