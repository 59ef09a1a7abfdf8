/** A server with every cache that has judged evidence once, and beside it one on the same store that remembers no device and no verdict. */
import type { MessageInitShape } from "@bufbuild/protobuf"
import * as assert from "uvu/assert"
import type { AttestationClient } from "../../src/client/attestation.ts"
import { challengeParts, tpmEvidence } from "../../src/device/attester.ts"
import { AssayError, type Code } from "../../src/errors.ts"
import type {
  VerifyRequest,
  VerifyRequestSchema,
  VerifyResponse,
} from "../../src/gen/assay/v1/attestation_pb.ts"
import type { TpmEvidence } from "../../src/gen/assay/v1/evidence_pb.ts"
import type { Ports } from "../../src/service/ports.ts"
import { createService } from "../../src/service/service.ts"
import { createVerdicts } from "../../src/service/verdicts.ts"
import { akChainOf, enrollEndorsed, validity } from "../support/endorsed.ts"
import { createTestService, START, type TestService } from "../support/service.ts"
import { testDevice } from "../support/world.ts"
import { NOT_BEFORE } from "../support/x509.ts"
import { type Running, running } from "./fake.ts"

export const device = testDevice()
export const EPOCH_MS = 300_000
const OWN = { audience: "orders", confirmation: undefined }

/** A server that has judged evidence over an epoch and over a challenge, and may be asked for both again. */
export interface Warm {
  readonly world: TestService
  readonly server: Running
  readonly plain: Running
  readonly client: AttestationClient
  readonly shown: VerifyRequest
  readonly first: VerifyResponse
  /** How often evidence over an epoch was judged since. */
  judged(): number
  /** The next call of this kind fails, once. */
  fail(what: "trust" | "registry" | "journal"): void
}

/** What vouches for its key, for a minute. */
const CHAIN = akChainOf(device, {
  leaf: {
    validity: validity(NOT_BEFORE, new Date(START.getTime() + 60_000)),
  },
})

/** Registers the device, starts both servers, lets it answer a challenge and shows its evidence over an epoch once. */
export const warm = async (act: (warm: Warm) => Promise<void>): Promise<void> => {
  let judged = 0
  let failing: string | undefined
  const failOnce = (what: string): void => {
    if (failing !== what) return
    failing = undefined
    throw new AssayError(what === "journal" ? "JOURNAL" : "REGISTRY", "away")
  }
  const world = createTestService({
    cached: true,
    ports: ({ verdicts, loadTrust, registry, journal }): Partial<Ports> => ({
      verdicts: {
        ...verdicts,
        verdictOn: (showing, judge) =>
          verdicts.verdictOn(showing, async () => {
            judged++
            failOnce("trust")
            return judge()
          }),
      },
      loadTrust,
      registry: {
        ...registry,
        snapshotFor: async (...of) => {
          failOnce("registry")
          return registry.snapshotFor(...of)
        },
      },
      journal: {
        append: async (...of) => {
          failOnce("journal")
          return journal.append(...of)
        },
      },
    }),
  })
  await enrollEndorsed(world, device, {}, { akCertificateChain: CHAIN })
  const server = await running({}, { service: world.service })
  const plain = await running({}, { service: createService({ ...world.ports, ...withoutCaches(world) }) })
  try {
    const { client } = server
    await client.verify(await answering(client))
    const epoch = await client.getEpoch()
    const shown = await device.answerEpoch("default", epoch)
    const first = await client.verify(shown)
    judged = 0
    const fail: Warm["fail"] = (what) => {
      failing = what
    }
    await act({ world, server, plain, client, shown, first, judged: () => judged, fail })
  } finally {
    await server.stop()
    await plain.stop()
    world.close()
  }
}

const withoutCaches = ({ ports }: TestService): Partial<Ports> => ({
  verdicts: createVerdicts(),
  contexts: {
    ...ports.contexts,
    remembered: () => undefined,
    contextFor: async (...of) => ({ context: await ports.contexts.readContext(...of), isRemembered: false }),
    moved: () => {},
  },
})

/** A device's answer to a new challenge. */
export const answering = async (client: AttestationClient, by = device): Promise<VerifyRequest> =>
  by.answer(challengeParts(await client.createChallenge({ audience: OWN.audience })), OWN)

/** The same request with other evidence. */
export const withEvidence = (
  request: VerifyRequest,
  change: (evidence: TpmEvidence) => Partial<TpmEvidence>,
): MessageInitShape<typeof VerifyRequestSchema> => {
  const evidence = tpmEvidence(request)
  const value = { ...evidence, ...change(evidence) }
  return { freshness: request.freshness, evidence: { kind: { case: "tpm", value } } }
}

/** A request as clients take it. */
export type Request = Parameters<AttestationClient["verify"]>[0]

/** The codes that a call ends with, as an answer or an error. */
export const codesOf = async (client: AttestationClient, request: Request): Promise<readonly string[]> => {
  try {
    const { result } = await client.verify(request)
    return (result?.findings ?? []).flatMap(({ code }) => (code === "" ? [] : [code]))
  } catch (error) {
    if (error instanceof AssayError) return [error.code]
    throw error
  }
}

/** With caches and without, the call ends with this code among others. */
export const refuses = async ({ client, plain }: Warm, request: Request, code: Code): Promise<void> => {
  const codes = await codesOf(client, request)
  assert.ok(codes.includes(code), `${codes}`)
  assert.equal(codes, await codesOf(plain.client, request))
}
/** It is answered as at first, without being judged. */
export const remembers = async ({ client, shown, first, judged }: Warm): Promise<void> => {
  const before = judged()
  const { result } = await client.verify(shown)
  assert.equal(
    [result?.tier, result?.findings, judged() - before],
    [first.result?.tier, first.result?.findings, 0],
  )
}
