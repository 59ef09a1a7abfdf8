import { suite } from "uvu"
import * as assert from "uvu/assert"
import { cachedEndorsements } from "../../src/cache/endorsements.ts"
import { AssayError } from "../../src/errors.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import { parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { type UntrustedEndorsements, verifyEndorsements } from "../../src/verification/endorsements.ts"
import { createAttestationKey } from "../../src/verification/key.ts"
import { createTrust } from "../../src/verification/trust.ts"
import { throwsCode } from "../support/assert.ts"
import { ekChainOf } from "../support/endorsed.ts"
import { quoteFixture } from "../support/fixtures.ts"
import { NONE_DENIED, START, TEST_ANCHOR } from "../support/service.ts"

const test = suite("cachedEndorsements")

const trustOf = () =>
  createTrust({
    anchors: [{ certificate: parseCertificate(TEST_ANCHOR), purpose: "any", revocation: "off" }],
    intermediates: [],
    crls: [],
    denied: NONE_DENIED,
  })
const keyOf = () => createAttestationKey(parsePublic(quoteFixture("p256-sha256").akPublic))
const shownOf = (changed: Partial<UntrustedEndorsements> = {}): UntrustedEndorsements => ({
  akChain: [],
  ekChain: ekChainOf().map((der) => parseCertificate(der)),
  ekListed: false,
  ...changed,
})
const scene = () => {
  const cached = cachedEndorsements(verifyEndorsements)
  const [trust, ak, shown] = [trustOf(), keyOf(), shownOf()]
  const first = cached.verifyEndorsements(shown, ak, trust, { at: START })
  assert.equal([cached.hits, cached.misses], [0, 1])
  return { cached, trust, ak, shown, first }
}

test("verifies certificates once for many calls, and counts both", () => {
  const { cached, trust, ak, shown, first } = scene()
  const later = new Date(START.getTime() + 60_000)
  assert.is(cached.verifyEndorsements({ ...shown }, ak, trust, { at: later }), first)
  assert.equal([cached.hits, cached.misses], [1, 1])
})

type Scene = ReturnType<typeof scene>
const END = (scene: Scene): Date => scene.first.ek?.validUntil ?? START
const others: readonly [name: string, act: (scene: Scene) => unknown][] = [
  [
    "C-01 another generation of trust",
    ({ cached, ak, shown }) => cached.verifyEndorsements(shown, ak, trustOf(), { at: START }),
  ],
  [
    "C-01 another device's key",
    ({ cached, shown, trust }) => cached.verifyEndorsements(shown, keyOf(), trust, { at: START }),
  ],
  [
    "C-02 the same certificates that came with evidence",
    ({ cached, ak, trust, shown }) =>
      cached.verifyEndorsements({ ...shown, ekChain: [...shown.ekChain] }, ak, trust, { at: START }),
  ],
  [
    "C-01 a key that was taken off the list, or put on it",
    ({ cached, ak, trust, shown }) =>
      cached.verifyEndorsements({ ...shown, ekListed: true }, ak, trust, { at: START }),
  ],
  [
    "C-04 a clock that was set back",
    ({ cached, ak, trust, shown }) =>
      cached.verifyEndorsements(shown, ak, trust, { at: new Date(START.getTime() - 1) }),
  ],
  [
    "C-01 a policy that bears what has expired",
    ({ cached, ak, trust, shown }) =>
      cached.verifyEndorsements(shown, ak, trust, { at: START, expiredLeaf: "allow" }),
  ],
]
for (const [name, act] of others)
  test(`verifies ${name} anew`, () => {
    const one = scene()
    act(one)
    assert.equal([one.cached.hits, one.cached.misses], [0, 2])
  })

test("refuses C-04 certificates at the end of the first of them, although they held before", () => {
  const one = scene()
  const { cached, ak, trust, shown } = one
  const after = new Date(END(one).getTime() + 1000)
  throwsCode(() => cached.verifyEndorsements(shown, ak, trust, { at: after }), "VALIDITY")
  assert.is(cached.hits, 0)
})

test("remembers no failure, C-06", () => {
  let fails = true
  const cached = cachedEndorsements((...of) => {
    if (fails) throw new AssayError("REVOCATION", "cannot be told")
    return verifyEndorsements(...of)
  })
  const [trust, ak, shown] = [trustOf(), keyOf(), shownOf()]
  throwsCode(() => cached.verifyEndorsements(shown, ak, trust, { at: START }), "REVOCATION")
  fails = false
  assert.ok(cached.verifyEndorsements(shown, ak, trust, { at: START }).ek)
})

test.run()
