/** A server as `assay serve` runs it, in this process, and devices whose evidence over an epoch it has judged and remembers. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { create } from "@bufbuild/protobuf"
import type { suite } from "uvu"
import * as assert from "uvu/assert"
import { type AdminClient, createAdminClient } from "../../src/client/admin.ts"
import { type AttestationClient, createAttestationClient } from "../../src/client/attestation.ts"
import { readConfig } from "../../src/config.ts"
import type { SoftwareDevice } from "../../src/device/software.ts"
import type { VerifyRequest, VerifyResponse } from "../../src/gen/assay/v1/attestation_pb.ts"
import { Tier } from "../../src/gen/assay/v1/result_pb.ts"
import {
  AnchorPurpose,
  AnchorRevocation,
  type NewAnchor,
  NewAnchorSchema,
  NewCrlSchema,
  NewIntermediateSchema,
} from "../../src/gen/assay/v1/trust_pb.ts"
import { createLog, start } from "../../src/main.ts"
import { authority, crlNumber, entry, makeCrl, rawInteger } from "../support/crl.ts"
import { caOf, INTERMEDIATE, idOf, leafOf, ROOT, validity } from "../support/endorsed.ts"
import { policyDocument, testDevice } from "../support/world.ts"
import { type CertificateParts, NOT_BEFORE, time } from "../support/x509.ts"
import { attest } from "./server.ts"

const HOUR_MS = 3_600_000
/** Serial number of every device's certificate. */
const LEAF = "4711"

/** A device that has answered a challenge, and then shown evidence over an epoch. */
export interface Shown {
  readonly id: string
  readonly device: SoftwareDevice
  /** Of its attestation key: the leaf and its issuer. */
  readonly chain: readonly Uint8Array[]
  /** The same of another device's key, by the same maker. */
  certify(device: SoftwareDevice): readonly Uint8Array[]
  readonly request: VerifyRequest
  readonly first: VerifyResponse
  /** What its maker's root is trusted for, and how, from now on. */
  trust(changed: Partial<NewAnchor>): Promise<void>
  /** Trusts it no longer. */
  distrust(): Promise<void>
  /** Lists of both CAs, the issuer's with this device's certificate if it is revoked. */
  list(given: { readonly revoked?: boolean; readonly until?: Date }): Promise<void>
}

/** The server, and who calls it. */
export interface Remembering {
  readonly gateway: AttestationClient
  readonly operator: AdminClient
  /** A connection of its own, as the gateway. */
  connect(): AttestationClient
  /** Enrolls a device, whose certificate holds `until`, lets it answer a challenge, and shows its evidence over an epoch once. */
  show(until?: Date): Promise<Shown>
  /** How often evidence was appraised so far. */
  judged(): Promise<number>
  /** Records in the journal. */
  records(): Promise<number>
  /** It is answered as at first, without being judged. */
  remembers(shown: Shown): Promise<void>
}

/** Has one server for all tests of a file, and gives what finds it. */
export function rememberingServer(test: ReturnType<typeof suite>): () => Remembering {
  const data = mkdtempSync(join(tmpdir(), "assay-remembering-"))
  let found: Remembering | undefined
  let stop = async (): Promise<void> => {}
  test.before(async () => {
    const flags = { development: true, data, listen: ["127.0.0.1:0"] }
    const web = { "web.public": "127.0.0.1:0", "web.private": "127.0.0.1:0" }
    const server = await start(readConfig({ ...flags, ...web }, {}, undefined), createLog("silent"))
    const [address = ""] = server.listen
    const credential = readFileSync(server.credentials["gateway"] ?? "", "utf8").trim()
    const connect = (): AttestationClient => createAttestationClient(address, { credential })
    const gateway = connect()
    const operator = createAdminClient(server.admin)
    stop = async () => {
      gateway.close()
      operator.close()
      await server.stop()
    }
    found = { gateway, operator, connect, ...looking(gateway, operator, server.privateUrl) }
  })
  test.after(async () => {
    await stop()
    rmSync(data, { recursive: true })
  })
  return () => {
    if (found === undefined) throw new TypeError("not started")
    return found
  }
}

/** As often are they made for who asks. */
const METRICS_AT_ONCE = 150

const looking = (
  gateway: AttestationClient,
  operator: AdminClient,
  privateUrl: string,
): Pick<Remembering, "show" | "judged" | "records" | "remembers"> => {
  let count = 0
  let looks = 0
  const sum = async (metric: RegExp): Promise<number> => {
    assert.ok(++looks < METRICS_AT_ONCE, "from here on they may be those of a second ago")
    const text = await (await fetch(`${privateUrl}/metrics`)).text()
    return [...text.matchAll(metric)].reduce((total, [, value]) => total + Number(value), 0)
  }
  const judged = () => sum(/^assay_cache_(?:hits|misses)_total\{cache="appraisal"\} (\d+)$/gm)
  return {
    judged,
    records: () => sum(/^assay_verifications_total\{[^}]*\} (\d+)$/gm),
    async show(until) {
      count += 1
      const id = `device-${count}`
      const device = testDevice()
      const maker = makerOf(operator, id)
      const holds = until === undefined ? {} : { validity: validity(NOT_BEFORE, until) }
      const chain = maker.certify(device, { ...holds, serialNumber: rawInteger(LEAF) })
      await maker.trust({})
      const { akPublic, qualifiedName } = device
      await operator.registerDevice({ id, akPublic, qualifiedName, akCertificateChain: [...chain] })
      await operator.setPolicy(policyDocument(device, { name: id }))
      await operator.assignPolicy({ policy: id, device: id })
      await attest(gateway, device)
      const request = await device.answerEpoch("default", await gateway.getEpoch())
      const first = await gateway.verify(request)
      assert.is(first.result?.tier, Tier.AFFIRMING)
      return { id, device, chain, request, first, ...maker }
    },
    async remembers({ request, first }) {
      const before = await judged()
      const { result } = await gateway.verify(request)
      assert.equal(
        [(await judged()) - before, result?.tier, result?.findings],
        [0, first.result?.tier, first.result?.findings],
      )
    },
  }
}

/** Who vouches for one device's key, and what an operator says of it. */
const makerOf = (operator: AdminClient, id: string) => {
  const [root, ca] = [authority(`Root of ${id}`, ROOT.keys), authority(`CA of ${id}`, INTERMEDIATE.keys)]
  const certificate = caOf(root, root)
  let lists = 0
  const certify = (device: SoftwareDevice, changed: Partial<CertificateParts> = {}): Uint8Array[] => [
    leafOf(device, ca, changed),
    caOf(ca, root),
  ]
  const trust: Shown["trust"] = async (changed) => {
    const usual = { purpose: AnchorPurpose.ANY, revocation: AnchorRevocation.OFF }
    const anchor = create(NewAnchorSchema, {
      ...{ certificate, label: id, provenance: "test", ...usual },
      ...changed,
    })
    await operator.importTrust({ anchors: [anchor] })
  }
  const distrust: Shown["distrust"] = async () => {
    await operator.removeTrust(idOf(certificate))
  }
  const list: Shown["list"] = async ({ revoked = false, until = new Date(Date.now() + HOUR_MS) }) => {
    lists += 1
    const current = {
      thisUpdate: time(new Date(Date.now() - HOUR_MS + 1000 * lists)),
      nextUpdate: time(until),
      extensions: [crlNumber(`0${lists}`)],
    }
    const entries = revoked ? [entry(LEAF)] : undefined
    const crls = [makeCrl(root, current), makeCrl(ca, { ...current, entries })]
    const intermediates = [create(NewIntermediateSchema, { certificate: caOf(ca, root) })]
    await operator.importTrust({ intermediates, crls: crls.map((crl) => create(NewCrlSchema, { crl })) })
  }
  return { certify, trust, distrust, list }
}
