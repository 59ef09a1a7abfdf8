import { suite } from "uvu"
import { keysConformance } from "../support/ports/keys.ts"
import { scratch } from "./folder.ts"

const test = suite("createKeyStore")
const { quick } = scratch(test)
keysConformance(test, "sqlite", () => quick().keys)
test.run()
