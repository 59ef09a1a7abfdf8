import { histories } from "./histories.ts"
import { alone, generated } from "./openssl/suite.ts"
import { races } from "./races.ts"
import type { Suite } from "./suite.ts"

/** Everything that `make soak` runs. A suite that is added here needs nothing else. */
export const SUITES: readonly Suite[] = [alone, generated, races, histories]
