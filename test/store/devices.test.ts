import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { ImportedDevice } from "../../src/service/ports.ts"
import { createSqliteStore } from "../../src/store/sqlite.ts"
import { rejectsCode } from "../support/assert.ts"
import { damageConformance } from "../support/ports/damage.ts"
import { devicesConformance } from "../support/ports/devices.ts"
import { newAct, newDevice } from "../support/ports/samples.ts"
import { scratch } from "./folder.ts"

const test = suite("createDevices")
const { file, quick } = scratch(test)

devicesConformance(test, "sqlite", quick)
damageConformance(test, "sqlite", () => {
  const database = file()
  return { ...createSqliteStore(database), alter: (sql) => database.exec(sql) }
})

test("says of an id that was deleted that it is not given again, and of others that they are taken", async () => {
  const { registry, devices } = createSqliteStore(file())
  const register = async (id: string): Promise<string> => {
    const error = await rejectsCode(
      () => registry.registerDevice(newDevice(id), newAct("register-device")),
      "DEVICE_EXISTS",
    )
    return error.message
  }
  for (const id of ["kept", "gone"]) await registry.registerDevice(newDevice(id), newAct("register-device"))
  await devices.remove("default", "gone", 1, newAct("delete-device"))
  assert.match(await register("gone"), /deleted.*choose another/)
  assert.match(await register("kept"), /there already/)
  const { tenant, ...fresh } = newDevice("gone")
  const gone: ImportedDevice = { ...fresh, state: "active", policy: undefined, counters: undefined }
  const imported = await rejectsCode(
    () => devices.import(tenant, [gone], newAct("import-devices")),
    "DEVICE_EXISTS",
  )
  assert.match(imported.message, /deleted.*choose another/)
})

test.run()
