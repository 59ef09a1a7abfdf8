/** Revocation where more than one path, or more than one time, is in play. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Certificate } from "../../src/evidence/x509/certificate.ts"
import { parseCertificate } from "../../src/evidence/x509/certificate.ts"
import type { Crl } from "../../src/evidence/x509/crl.ts"
import { type ChainOptions, verifyChain } from "../../src/verification/chain.ts"
import type { RevocationMode } from "../../src/verification/revocation.ts"
import { createTrust } from "../../src/verification/trust.ts"
import { throwsCode } from "../support/assert.ts"
import { AT, NOTHING_DENIED } from "../support/chain.ts"
import { authority, certified, crlNumber, crlOf, entry, flag, reasonCode, scope } from "../support/crl.ts"
import {
  AK_EXTENSIONS,
  basicConstraints,
  caExtensions,
  EK_EXTENSIONS,
  keyUsage,
  LEAF_KEYS,
  makeCertificate,
  p256Keys,
  seq,
  time,
} from "../support/x509.ts"

const test = suite("revocation over several paths")

const day = (text: string): Uint8Array => time(new Date(`${text}T00:00:00Z`))
const current = { thisUpdate: day("2026-11-01"), nextUpdate: day("2026-12-01") }
const verify = (
  leaf: Certificate,
  anchors: readonly (readonly [certificate: Certificate, mode: RevocationMode])[],
  intermediates: readonly Certificate[],
  crls: readonly Crl[],
  options: ChainOptions,
) =>
  verifyChain(
    leaf,
    [],
    createTrust({
      anchors: anchors.map(([certificate, revocation]) => ({ certificate, purpose: "any", revocation })),
      intermediates,
      crls,
      denied: NOTHING_DENIED,
    }),
    options,
  )

const A = authority("Root A")
const B = authority("Root B")
const X = authority("Issuing CA")
const rootA = certified(A, A, caExtensions())
const rootB = certified(B, B, caExtensions())
const crossed = [certified(X, A, caExtensions(), "11"), certified(X, B, caExtensions(), "12")]
const leaf = certified(authority("leaf"), X, AK_EXTENSIONS, "77")
const revokes = crlOf(X, { ...current, entries: [entry("77", reasonCode(1))] })
const good = crlOf(A, current)
const ak = { purpose: "ak", at: AT } as const

for (const mode of ["off", "when-published", "require"] as const)
  for (const anchors of [
    [
      [rootA, "require"],
      [rootB, mode],
    ],
    [
      [rootB, mode],
      [rootA, "require"],
    ],
  ] as const)
    test(`refuses X-20 a revoked leaf by way of another anchor of mode ${mode}, ${anchors[0][1]} first`, () => {
      if (mode === "off" && anchors[0][1] === "off") return
      const error = throwsCode(() => verify(leaf, anchors, crossed, [revokes, good], ak), "REVOKED")
      assert.match(error.actual ?? "", /keyCompromise|2024/)
    })

test("accepts by way of another anchor where only a CA of the first path is revoked", () => {
  const revokesCa = crlOf(A, { ...current, entries: [entry("11", reasonCode(4))] })
  const empty = crlOf(X, current)
  const anchors = [
    [rootA, "require"],
    [rootB, "off"],
  ] as const
  assert.is(verify(leaf, anchors, crossed, [revokesCa, empty], ak).anchor.certificate, rootB)
})

const R = authority("Root")
const signerKeys = p256Keys()
const life = (from: string, to: string) => ({ validity: seq(day(from), day(to)) })
const root = parseCertificate(
  makeCertificate(
    R.keys,
    R.keys,
    R.name,
    R.name,
    [basicConstraints(true), keyUsage(5, 6)],
    life("2014-01-01", "2040-01-01"),
  ),
)
const signerUntil = (end: string): Certificate =>
  parseCertificate(
    makeCertificate(
      signerKeys,
      R.keys,
      R.name,
      R.name,
      [basicConstraints(true), keyUsage(6)],
      life("2015-01-01", end),
    ),
  )
const expired = parseCertificate(
  makeCertificate(LEAF_KEYS, R.keys, seq(), R.name, EK_EXTENSIONS, life("2016-01-01", "2017-01-01")),
)
/** For end entities by the signer, for CAs by the root itself. */
const apart = crlOf({ name: R.name, keys: signerKeys }, current)
const own = crlOf(R, { ...current, extensions: [crlNumber("02"), scope(flag(0x82))] })
const ek = { purpose: "ek", at: AT, expiredLeaf: "allow" } as const

test("takes the list of a signer whose certificate is valid now, for an expired leaf too", () => {
  const path = verify(expired, [[root, "require"]], [signerUntil("2030-01-01")], [apart, own], ek)
  assert.ok(path.expired)
  assert.ok(path.validUntil > AT)
})

test("refuses X-20 the list of a signer whose certificate ended long ago, for an expired leaf too", () => {
  for (const end of ["2018-01-01", "2026-01-01"])
    throwsCode(() => verify(expired, [[root, "require"]], [signerUntil(end)], [apart, own], ek), "REVOCATION")
})
test.run()
