import { suite } from "uvu"
import { useEngineServer } from "../../support/engines.ts"
import { sharedEngineConformance } from "../../support/ports/shared-engine.ts"

const test = suite("createSharedEngine")
const { server, onServer } = useEngineServer(test, "redis")

sharedEngineConformance(server, onServer)

test.run()
