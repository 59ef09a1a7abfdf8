import { suite } from "uvu"
import { actsConformance } from "../support/ports/acts.ts"
import { devicesConformance } from "../support/ports/devices.ts"
import { journalConformance } from "../support/ports/journal.ts"
import { memoryStore } from "../support/ports/memory.ts"
import { pendingConformance } from "../support/ports/pending.ts"
import { registryConformance } from "../support/ports/registry.ts"
import { trustConformance } from "../support/ports/trust.ts"

const test = suite("memoryStore")
registryConformance(test, "memory", () => memoryStore().registry)
actsConformance(test, "memory", memoryStore)
devicesConformance(test, "memory", memoryStore)
journalConformance(test, "memory", memoryStore)
trustConformance(test, "memory", memoryStore)
pendingConformance(test, "memory", memoryStore)
test.run()
