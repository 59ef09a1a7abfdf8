import { suite } from "uvu"
import { journalConformance } from "../support/ports/journal.ts"
import { memoryRegistryAndJournal } from "../support/ports/memory.ts"
import { registryConformance } from "../support/ports/registry.ts"

const test = suite("memoryRegistryAndJournal")
registryConformance(test, "memory", () => memoryRegistryAndJournal().registry)
journalConformance(test, "memory", memoryRegistryAndJournal)
test.run()
