import { suite } from "uvu"
import { storeConformance, storeOf } from "../support/conformance.ts"
import { needs } from "../support/postgres.ts"

const test = suite("openPostgresStore")
storeConformance(needs("postgres", test), "postgres", storeOf("postgres", test))
test.run()
