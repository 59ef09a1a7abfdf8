import { suite } from "uvu"
import { journalConformance } from "../support/ports/journal.ts"
import { pendingConformance } from "../support/ports/pending.ts"
import { registryConformance } from "../support/ports/registry.ts"
import { trustConformance } from "../support/ports/trust.ts"
import { needs } from "../support/postgres.ts"
import { usePostgresStore } from "../support/postgres-store.ts"

const test = suite("openPostgresStore")
const { store } = usePostgresStore(test)
const check = needs("postgres", test)

registryConformance(check, "postgres", async () => (await store()).registry)
journalConformance(check, "postgres", () => store())
trustConformance(check, "postgres", store)
pendingConformance(check, "postgres", store)

test.run()
