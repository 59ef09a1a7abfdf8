/** Certifications that must not end in a certificate, against the whole service: U1 to U4 after each. */
import { suite } from "uvu"
import { concat } from "../../src/bytes.ts"
import { createSoftwareKey } from "../../src/device/software-key.ts"
import type { RawCertification } from "../../src/evidence/certification.ts"
import { challengeExtraData, nonceExtraData } from "../../src/evidence/transcript.ts"
import {
  type Attack,
  attackTests,
  malformed,
  type Refusal,
  refuses,
  spent,
  unspent,
} from "../support/attack.ts"
import { TLS_KEY } from "../support/certified.ts"
import { flipped } from "../support/core.ts"
import { FORGERIES } from "../support/forgeries.ts"
import { sceneFor } from "../support/scene.ts"
import { evidenceOver, type Session, TEST_ANCHOR } from "../support/service.ts"
import { type Attempt, P256, RSASSA } from "../support/victim.ts"

const test = suite("attacks on certification")

/** What every challenge here is for, unless it says otherwise. */
const session = (name = TLS_KEY.name): Session => ({ confirmation: { method: "name", name } })

/** The honest answer with what is shown of the key changed. */
const showing =
  (change: (genuine: RawCertification, attempt: Attempt) => Partial<RawCertification>) =>
  (attempt: Attempt) => {
    const { evidence } = attempt.honest
    const genuine = attempt.device.certifying(TLS_KEY).certification
    return {
      ...attempt.honest,
      evidence: { ...evidence, certification: { ...genuine, ...change(genuine, attempt) } },
    }
  }

/** The honest answer without any. */
const showingNone = ({ honest }: Attempt) => ({
  ...honest,
  evidence: { ...honest.evidence, certification: undefined },
})

/** Every forgery, after which the challenge stays spent and nobody has a certificate. */
const forgeries: readonly Attack[] = FORGERIES.map(({ name, forge, code, location, keyName }, i) => {
  return {
    name,
    // One of them signs anew, by a scheme that only a curve has.
    of: i % 2 === 0 || name.includes("by another hash") ? P256 : RSASSA,
    session: session(keyName),
    forge: (attempt) => {
      const genuine = attempt.device.certifying(TLS_KEY).certification
      const certification = { ...genuine, ...forge(attempt.device, genuine) }
      return { ...attempt.honest, evidence: { ...attempt.honest.evidence, certification } }
    },
    refusal: { ...spent(code), location },
  }
})

const at = (refusal: Refusal, location: string): Refusal => ({ ...refusal, location })
const LATER = createSoftwareKey()

/** The quote over a transcript in which the key is another, or none. */
const transcribing =
  (confirmation: Session["confirmation"]) =>
  ({ honest, device, transcript }: Attempt) => ({
    ...honest,
    evidence: {
      ...honest.evidence,
      ...evidenceOver(device, challengeExtraData({ ...transcript, confirmation })),
    },
  })

const calls: readonly Attack[] = [
  { name: "no certification at all", forge: showingNone, refusal: at(malformed("FIELD"), "certification") },
  {
    name: "a request that is cut off",
    forge: showing(({ csr }) => ({ csr: csr.subarray(0, csr.length - 1) })),
    refusal: at(malformed("DER"), "certification.csr"),
  },
  {
    name: "X-14 a byte behind the request",
    forge: showing(({ csr }) => ({ csr: concat(csr, Uint8Array.of(0)) })),
    refusal: at(malformed("TRAILING"), "certification.csr"),
  },
  {
    name: "a certificate in the place of the request",
    forge: showing(() => ({ csr: TEST_ANCHOR })),
    refusal: at(malformed("CSR"), "certification.csr"),
  },
  {
    name: "Q-11 a byte behind the public area",
    forge: showing(({ keyPublic }) => ({ keyPublic: concat(keyPublic, Uint8Array.of(0)) })),
    refusal: at(malformed("FRAMING"), "certification.key_public"),
  },
  {
    name: "Q-01 a structure that no TPM made",
    forge: showing(({ attest }) => ({ attest: flipped(attest, 3) })),
    refusal: at(malformed("QUOTE_MAGIC"), "certification.attest"),
  },
  {
    name: "Q-11 a byte behind the certification",
    forge: showing(({ attest }) => ({ attest: concat(attest, Uint8Array.of(0)) })),
    refusal: at(malformed("FRAMING"), "certification.attest"),
  },
  {
    name: "Q-11 a byte behind its signature",
    forge: showing(({ signature }) => ({ signature: concat(signature, Uint8Array.of(0)) })),
    refusal: at(malformed("FRAMING"), "certification.signature"),
  },
  {
    name: "N-03 a quote over a transcript with another key, that is certified",
    forge: transcribing({ method: "name", name: LATER.name }),
    refusal: unspent("NONCE_MISMATCH"),
  },
  {
    name: "N-03 a quote over a transcript without a key",
    forge: transcribing(undefined),
    refusal: unspent("NONCE_MISMATCH"),
  },
  {
    name: "N-03 a quote over the key's thumbprint instead of its Name",
    forge: transcribing({ method: "jkt", digest: TLS_KEY.name.slice(2) }),
    refusal: unspent("NONCE_MISMATCH"),
  },
].map((one) => ({ ...one, of: P256, session: session() }))

const scene = sceneFor(test, [P256, RSASSA])
attackTests(test, [...forgeries, ...calls], scene)

// A certification where none is asked for.

const unasked: Attack["forge"] = ({ honest, device }) => ({
  ...honest,
  evidence: { ...honest.evidence, certification: device.certifying(TLS_KEY).certification },
})
for (const [name, confirmation] of [
  ["for a bearer token", undefined],
  ["for a key of another kind", { method: "jkt", digest: new Uint8Array(32).fill(3) }],
] as const)
  test(`refuses a certification in the answer to a challenge ${name}`, async () =>
    refuses(await scene(), {
      name,
      of: P256,
      session: confirmation === undefined ? {} : { confirmation },
      forge: unasked,
      refusal: at(malformed("FIELD"), "certification"),
    }))

const NONCE = new Uint8Array(32).fill(9)
test("refuses a certification beside a nonce, which yields no session", async () =>
  refuses(await scene(), {
    name: "nonce",
    of: P256,
    forge: ({ device }) => ({
      freshness: { kind: "nonce", nonce: NONCE },
      evidence: {
        ...evidenceOver(device, nonceExtraData("default", NONCE)),
        certification: device.certifying(TLS_KEY).certification,
      },
    }),
    refusal: {
      code: "FIELD",
      ends: "malformed",
      challenge: "none",
      location: "certification",
      afterwards: "session",
    },
  }))

test.run()
