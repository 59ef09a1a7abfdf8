import { rejectsCode } from "../assert.ts"
import type { Awaitable, Check } from "./check.ts"
import type { DevicesUnderTest } from "./devices.ts"
import { nameOf, newEnrolled } from "./devices.ts"
import { afterNoon, digestOf, newAct, newCommit, newPolicy, newRecord } from "./samples.ts"

/** A store, and a way to alter its rows past it. */
export interface DamagedUnderTest extends DevicesUnderTest {
  readonly alter: (sql: string) => Awaitable<unknown>
}

/** Statements that both engines understand, each of which makes another device of a device. */
const DAMAGES: readonly (readonly [what: string, sql: string])[] = [
  ["a device of another state", "UPDATE devices SET state = 'active'"],
  ["a device of another group", "UPDATE devices SET device_group = 'trusted'"],
  ["a device with another policy", "UPDATE devices SET policy = 'lax'"],
  ["a device without its policy", "UPDATE devices SET policy = NULL"],
  ["a device of an earlier revision", "UPDATE devices SET revision = 1"],
  ["a device with another key", "UPDATE devices SET ak_public = digest"],
  ["a device with another qualified name", "UPDATE devices SET qualified_name = NULL"],
  ["a device with another endorsement key", "UPDATE devices SET ek = ak_name"],
  ["a device whose key another binds", "UPDATE devices SET binding = 'operator'"],
  ["a device with another chain", "UPDATE devices SET ek_certificate_chain = NULL"],
  [
    "a device with the chain of its other key",
    "UPDATE devices SET ak_certificate_chain = ek_certificate_chain, ek_certificate_chain = NULL",
  ],
  ["a device with a listed key more", "UPDATE devices SET ek_digest = ek"],
  ["a device with a permit that nobody gave", "UPDATE devices SET permit_expires_at = 9999999999999"],
  ["a device of another enrollment token", "UPDATE devices SET token = 'another'"],
  ["a device with other labels", "UPDATE devices SET labels = '[]'"],
  ["a device with another digest", "UPDATE devices SET digest = ek"],
  ["a device of another time", "UPDATE devices SET created_at = 1"],
]

/** The same of a device with a permit for an attestation key. */
const PERMIT_DAMAGES: readonly (readonly [what: string, sql: string])[] = [
  ["a permit for another attestation key", "UPDATE devices SET permit_ak = qualified_name"],
  ["a permit for an endorsement key", "UPDATE devices SET permit_ak = NULL, permit_ek = ek_digest"],
  ["a permit for both keys", "UPDATE devices SET permit_ek = ek_digest"],
  ["a permit for no key", "UPDATE devices SET permit_ak = NULL"],
]

/** What no store answers with. `create` makes one for each test. */
export const damageConformance = (
  test: Check,
  name: string,
  create: () => Awaitable<DamagedUnderTest>,
): void => {
  for (const [what, sql] of PERMIT_DAMAGES)
    test(`${name} refuses S-03 to judge by ${what} than was stored`, async () => {
      const { devices, registry, alter } = await create()
      const fresh = newEnrolled("device-1", {
        ek: undefined,
        akName: nameOf("device-1"),
        qualifiedName: nameOf("qualified"),
        endorsement: { ekCertificateChain: [], akCertificateChain: [], ekDigest: digestOf("listed") },
      })
      await devices.enroll(fresh, newAct("enroll-device"))
      const permit = { kind: "ak-rotation", akName: nameOf("next"), expiresAt: afterNoon(1) } as const
      const change = { permit: { granted: permit } } as const
      await devices.change("default", "device-1", undefined, change, newAct("permit-ak-rotation"))
      await alter(sql)
      await rejectsCode(() => registry.device("default", "device-1"), "REGISTRY")
      await rejectsCode(() => registry.snapshotFor("default", fresh.akName), "REGISTRY")
    })

  for (const [what, sql] of DAMAGES)
    test(`${name} refuses S-03 to judge by ${what} than was stored`, async () => {
      const { devices, registry, journal, alter } = await create()
      for (const policy of ["own", "lax"])
        await registry.setPolicy(newPolicy(policy, policy), newAct("set-policy"))
      const fresh = newEnrolled("device-1", {
        qualifiedName: digestOf("qualified"),
        labels: new Map([["k", "v"]]),
        endorsement: { ekCertificateChain: [digestOf("leaf")], akCertificateChain: [], ekDigest: undefined },
      })
      await devices.enroll(fresh, newAct("enroll-device"))
      const permit = { kind: "board-swap", ek: digestOf("board"), expiresAt: afterNoon(1) } as const
      const change = { policy: { name: "own" }, state: "suspended", permit: { granted: permit } } as const
      await devices.change("default", "device-1", undefined, change, newAct("update-device"))
      await journal.append(
        newRecord("device-1"),
        newCommit({ revisions: { device: 2, policy: { name: "own", revision: 1 }, trust: undefined } }),
      )
      await alter(sql)
      await rejectsCode(() => registry.snapshotFor("default", fresh.akName), "REGISTRY")
      await rejectsCode(() => registry.device("default", "device-1"), "REGISTRY")
      await rejectsCode(
        () => devices.change("default", "device-1", undefined, { group: "x" }, newAct("update-device")),
        "REGISTRY",
      )
      const all = { filter: {}, order: "id", descending: false, after: undefined, max: 10 } as const
      await rejectsCode(() => devices.list("default", all), "REGISTRY")
    })
}
