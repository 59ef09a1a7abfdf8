import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type Certificate, parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { wanting } from "../../src/main/wanting.ts"
import { ekChainOf } from "../support/endorsed.ts"

const test = suite("wanting")

const DER = ekChainOf()
const OTHER = DER.slice(1)
/** A chain as it is parsed of each call that shows it. */
const shown = (chain = DER): readonly Certificate[] => chain.map((der) => parseCertificate(der))
const AGAIN_MS = 300_000

const scene = () => {
  const told: [tenant: string, chain: readonly Uint8Array[], device: string][] = []
  const clock = { ms: 0 }
  const want = wanting(
    (...one) => told.push(one),
    () => clock.ms,
  )
  return { told, clock, want }
}

test("tells once of a chain that is shown with each call, and parsed anew each time", () => {
  const { told, clock, want } = scene()
  for (clock.ms = 0; clock.ms < AGAIN_MS; clock.ms += 1000) want("default", shown(), "a")
  assert.equal(told, [["default", DER, "a"]])
})

test("tells again after five minutes, and counts them from then", () => {
  const { told, clock, want } = scene()
  for (const ms of [0, AGAIN_MS - 1, AGAIN_MS, 2 * AGAIN_MS - 1]) {
    clock.ms = ms
    want("default", shown(), "a")
  }
  assert.is(told.length, 2)
})

test("tells of each tenant, device and first certificate", () => {
  const { told, want } = scene()
  for (let times = 0; times < 2; times++)
    for (const tenant of ["default", "other"])
      for (const device of ["a", "b"]) for (const chain of [DER, OTHER]) want(tenant, shown(chain), device)
  assert.is(told.length, 8)
})

test("tells nothing of a chain without certificates", () => {
  const { told, want } = scene()
  want("default", [], "a")
  assert.equal(told, [])
})

test("forgets those that were shown longest ago, rather than hold any number", () => {
  const { told, want } = scene()
  const chain = shown()
  for (let n = 0; n <= 100_000; n++) want("default", chain, `device ${n}`)
  const before = told.length
  want("default", chain, "device 100000")
  assert.is(told.length, before)
  want("default", chain, "device 0")
  assert.is(told.length, before + 1)
})

test.run()
