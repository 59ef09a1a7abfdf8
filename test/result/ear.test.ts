import { suite } from "uvu"
import * as assert from "uvu/assert"
import { TRUST_CLAIMS } from "../../src/appraisal/finding.ts"
import { type Claims, type Json, withEar } from "../../src/result/ear.ts"
import type { AttestationResult, EarForm } from "../../src/result/result.ts"
import { needs, vectorJson } from "../support/vectors.ts"

const test = suite("withEar")

/** The claims as a token has them. */
const earClaims = (result: Told, form: EarForm, build: string): Claims =>
  JSON.parse(JSON.stringify(withEar({}, result, form, build)))

type Told = Omit<AttestationResult, "token" | "attestAt" | "certificateChain">
const told: Told = {
  id: "id-1",
  tenant: "default",
  tier: "warning",
  vector: { executables: 3, configuration: 32 },
  findings: [{ rule: "clock-safe", tier: "warning", code: "CLOCK_INFO_UNSAFE" }],
  device: "device-1",
  deviceRevision: 4,
  policy: { name: "fleet", revision: 2 },
  evaluatedAt: new Date("2026-11-21T12:00:00Z"),
  evidenceDigest: new Uint8Array(32),
  freshness: "nonce",
  challengeState: "none",
  nonce: new Uint8Array(16).fill(0xff),
  evidenceAgeMs: undefined,
  endorsements: [],
}

test("writes the form that deployed libraries read", () => {
  assert.equal(earClaims(told, "2023", "assay 0.1.0"), {
    eat_profile: "tag:github.com,2023:veraison/ear",
    "ear.verifier-id": { developer: "assay", build: "assay 0.1.0" },
    eat_nonce: "_____________________w",
    submods: {
      tpm: {
        "ear.status": "warning",
        "ear.trustworthiness-vector": { executables: 3, configuration: 32 },
        "ear.appraisal-policy-id": "fleet:2",
      },
    },
  })
})

test("writes the form of the current draft", () => {
  assert.equal(earClaims(told, "2026", "assay 0.1.0"), {
    eat_profile: "tag:ietf.org,2026:rats/ear#03",
    ear_verifier_id: { developer: "assay", build: "assay 0.1.0" },
    eat_nonce: "_____________________w",
    ear_status: "warning",
    submods: {
      tpm: {
        ear_status: "warning",
        ear_trustworthiness_vector: { executables: 3, configuration: 32 },
        ear_appraisal_policy_ids: ["fleet:2"],
      },
    },
  })
})

for (const form of ["2023", "2026"] as const) {
  test(`leaves out the nonce and the policy that there are not, ${form}`, () => {
    const text = JSON.stringify(earClaims({ ...told, nonce: undefined, policy: undefined }, form, "b"))
    assert.not.match(text, "nonce")
    assert.not.match(text, "policy")
  })

  test(`names no device, tenant or finding: those are the token's own claims or stay out, ${form}`, () => {
    const text = JSON.stringify(earClaims(told, form, "b"))
    for (const word of ["device-1", "default", "clock-safe", "CLOCK_INFO"]) assert.not.match(text, word)
  })

  test(`keeps a nonce of 8 to 64 bytes within the bounds of EAT, ${form}`, () => {
    for (const size of [16, 64]) {
      const { eat_nonce: nonce } = earClaims({ ...told, nonce: new Uint8Array(size) }, form, "b")
      assert.ok(typeof nonce === "string" && nonce.length >= 8 && nonce.length <= 88)
    }
  })

  for (const tier of ["none", "affirming", "warning", "contraindicated"] as const)
    test(`tells the tier ${tier} in its standard word, ${form}`, () => {
      assert.match(JSON.stringify(earClaims({ ...told, tier }, form, "b")), `status":"${tier}"`)
    })
}

// What others publish as EAR: every member of ours in that form has a place and a type there.

interface Published {
  readonly eat_profile: string
  readonly submods: Readonly<Record<string, Readonly<Record<string, Json>>>>
  readonly [name: string]: unknown
}
needs("vectors", test)("has the members of the published results, and nothing that they lack", () => {
  const published = vectorJson<Published>("tokens/ear/ear-claims-tv-ok.json")
  const ours = earClaims({ ...told, nonce: undefined }, "2023", "b")
  assert.is(ours["eat_profile"], published.eat_profile)
  const { iat: _iat, "ear.raw-evidence": _raw, ...expected } = published
  assert.equal(Object.keys(ours).toSorted(), Object.keys(expected).toSorted())
  assert.equal(
    Object.keys((ours["ear.verifier-id"] ?? {}) as object).toSorted(),
    Object.keys((published["ear.verifier-id"] ?? {}) as object).toSorted(),
  )
  const [appraisal] = Object.values(published.submods)
  const { submods } = ours
  const [own] = Object.values((submods ?? {}) as Record<string, Record<string, Json>>)
  assert.equal(Object.keys(own ?? {}).toSorted(), Object.keys(appraisal ?? {}).toSorted())
  const vector = appraisal?.["ear.trustworthiness-vector"]
  assert.equal(Object.keys((vector ?? {}) as object).toSorted(), [...TRUST_CLAIMS].toSorted())
})
needs("vectors", test)("uses the profile, the statuses and the claims of all published results", () => {
  for (const name of ["ear/ear-claims", "ear/ear-claims-extension-ok", "veraison-enacttrust.good"]) {
    const published = vectorJson<Published>(`tokens/${name}.json`)
    const [appraisal] = Object.values(published.submods ?? {})
    const status = appraisal?.["ear.status"]
    if (status === undefined) continue
    assert.ok(status === "affirming" || status === "warning" || status === "contraindicated", name)
    assert.is(published.eat_profile, earClaims(told, "2023", "b")["eat_profile"], name)
  }
})

test.run()
