import { suite } from "uvu"
import { openSqliteStore } from "../../src/store/sqlite.ts"
import { rejectsCode } from "../support/assert.ts"
import { digestOf, NO_ENDORSEMENT, newAct, newDevice } from "../support/ports/samples.ts"
import { damage, scratch } from "./folder.ts"

const test = suite("chains of devices")
const { path, store } = scratch(test)

const chain = [digestOf("leaf"), digestOf("ca")]
const brokenChains: [what: string, sql: string][] = [
  ["an EK chain cut short", "UPDATE devices SET ek_certificate_chain = substr(ek_certificate_chain, 1, 40)"],
  ["an EK chain with a byte more", "UPDATE devices SET ek_certificate_chain = x'000000010700'"],
  ["an EK chain of no bytes", "UPDATE devices SET ek_certificate_chain = x''"],
  ["an AK chain with a length over all bounds", "UPDATE devices SET ak_certificate_chain = x'ffffffff'"],
  ["an AK chain of too many certificates", "UPDATE devices SET ak_certificate_chain = zeroblob(4 * 65)"],
]
for (const [what, sql] of brokenChains)
  test(`refuses S-03 a device with ${what}`, async () => {
    const file = path()
    const { registry, close } = openSqliteStore(file)
    const endorsement = { ekCertificateChain: chain, akCertificateChain: chain, ekDigest: undefined }
    const { akName } = await registry.registerDevice(
      newDevice("device-1", { endorsement }),
      newAct("register-device"),
    )
    damage(file, sql)
    await rejectsCode(() => registry.snapshotFor("default", akName), "REGISTRY")
    await rejectsCode(() => registry.device("default", "device-1"), "REGISTRY")
    close()
  })

const longChains: [what: string, sizes: readonly number[]][] = [
  ["65 certificates", new Array<number>(65).fill(1)],
  ["more than a MiB", [1024 * 1024 - 3]],
]
for (const [what, sizes] of longChains)
  test(`refuses to register a device with a chain of ${what}, which could not be read back`, async () => {
    const { registry } = store()
    const akCertificateChain = sizes.map((size) => new Uint8Array(size))
    const device = newDevice("device-1", { endorsement: { ...NO_ENDORSEMENT, akCertificateChain } })
    await rejectsCode(() => registry.registerDevice(device, newAct("register-device")), "REGISTRY")
    await rejectsCode(() => registry.device("default", "device-1"), "DEVICE_NOT_FOUND")
  })

test.run()
