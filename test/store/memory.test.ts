import { suite } from "uvu"
import { storeConformance, storeOf } from "../support/conformance.ts"

const test = suite("memoryStore")
storeConformance(test, "memory", storeOf("memory", test))
test.run()
