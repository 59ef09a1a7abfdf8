import { suite } from "uvu"
import { devicesConformance } from "../support/ports/devices.ts"
import { scratch } from "./folder.ts"

const test = suite("createDevices")
const { quick } = scratch(test)

devicesConformance(test, "sqlite", quick)

test.run()
