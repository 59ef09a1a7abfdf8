/**
 * Attest, then certify: the whole way, with a real TPM 2.0 implementation that makes the key, and with TLS by what was issued.
 * openssl judges the certificates.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { create } from "@bufbuild/protobuf"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { sameBytes, toHex } from "../../src/bytes.ts"
import { createAdminClient } from "../../src/client/admin.ts"
import { type AttestationClient, createAttestationClient } from "../../src/client/attestation.ts"
import { readConfig } from "../../src/config.ts"
import { createAgent } from "../../src/device/agent.ts"
import { type Attester, type CertifiedKey, challengeParts, tpmEvidence } from "../../src/device/attester.ts"
import { generateKeys } from "../../src/device/keys.ts"
import { type Machine, swtpmMachine } from "../../src/device/machine.ts"
import { createSoftwareDevice, type SoftwareDevice } from "../../src/device/software.ts"
import { createSoftwareKey, type SoftwareKey } from "../../src/device/software-key.ts"
import { certificatePem } from "../../src/evidence/x509/certificate.ts"
import { KeyCertificationSchema, type VerifyResponse } from "../../src/gen/assay/v1/attestation_pb.ts"
import { Tier } from "../../src/gen/assay/v1/result_pb.ts"
import { createLog, start } from "../../src/main.ts"
import { rejectsCode } from "../support/assert.ts"
import { pem, SERVER_AUTHORITY, writeServer } from "../support/callers.ts"
import { copiedSwtpm } from "../support/swtpm.ts"
import { needs } from "../support/vectors.ts"
import { assayHere, inFolder, run } from "./programs.ts"

const AUDIENCE = "orders"
const PCRS = [0, 1, 2, 3, 4, 5, 6, 7]
const VALUE_BYTES = 32

type Running = Awaited<ReturnType<typeof start>>

/** A server in this process, with its plaintext port and one with TLS. */
const withServer = (act: (server: Running, folder: string) => Promise<void>): Promise<void> =>
  inFolder(async (folder) => {
    const data = join(folder, "data")
    const settings = {
      development: true,
      data,
      listen: ["127.0.0.1:0", { address: "127.0.0.1:0", tls: writeServer(folder) }],
      "web.public": "127.0.0.1:0",
      "web.private": "127.0.0.1:0",
    }
    const server = await start(readConfig(settings, {}, undefined), createLog("silent"))
    try {
      await act(server, folder)
    } finally {
      await server.stop()
    }
  })

/** What an operator does for a device as it is now: its key, and a policy that lets it in so. */
const register = async (server: Running, attester: Attester, id: string): Promise<void> => {
  const { pcrBanks } = tpmEvidence(await attester.answerNonce("default", new Uint8Array(16)))
  const [{ values } = { values: new Uint8Array() }] = pcrBanks
  const references = Object.fromEntries(
    PCRS.map((pcr) => [pcr, toHex(values.subarray(pcr * VALUE_BYTES, (pcr + 1) * VALUE_BYTES))]),
  )
  const policy = {
    version: 1,
    name: id,
    evidence: { banks: ["sha256"], pcrs: PCRS, eventLog: "required" },
    references: [{ name: "now", pcrs: { sha256: references } }],
    ak: { binding: "operator" },
    session: { lifetimeSeconds: 600, admit: "warning", audiences: [AUDIENCE] },
  }
  await admit(server, attester, id, policy)
}

/** Registers a device with a policy of its own. */
const admit = async (
  { admin }: Running,
  { akPublic, qualifiedName }: Attester,
  id: string,
  policy: { readonly name: string },
): Promise<void> => {
  const operator = createAdminClient(admin)
  try {
    await operator.registerDevice({ id, akPublic, qualifiedName })
    await operator.setPolicy(JSON.stringify(policy))
    await operator.assignPolicy({ policy: policy.name, device: id })
  } finally {
    operator.close()
  }
}

/** A challenge for the key, the device's answer, and what Assay says. */
const certify = async (
  caller: AttestationClient,
  attester: Attester,
  { name, certification }: CertifiedKey,
  device = "",
): Promise<VerifyResponse> => {
  const challenge = await caller.createChallenge({
    device,
    audience: AUDIENCE,
    confirmation: { method: { case: "keyName", value: name } },
  })
  const confirmation = { method: "name", name } as const
  const request = await attester.answer(challengeParts(challenge), { audience: AUDIENCE, confirmation })
  request.certification = certification
  return caller.verify(request)
}

/** What a software device shows of a key that a TLS client here can use too. */
const certified = (device: SoftwareDevice, key: SoftwareKey): CertifiedKey => {
  const { name, certification } = device.certifying(key)
  return { name, certification: create(KeyCertificationSchema, certification) }
}

const gatewayOf = ({ listen, credentials }: Running): AttestationClient =>
  createAttestationClient(listen[0] ?? "", {
    credential: readFileSync(credentials["gateway"] ?? "", "utf8").trim(),
  })

/** What openssl says of a device's certificate, by the authority that the public pages show. */
const judged = async (
  { publicUrl }: Running,
  folder: string,
  { certificateChain }: VerifyResponse,
): Promise<{ readonly ok: boolean; readonly text: string }> => {
  const [leaf = new Uint8Array(), issuer = new Uint8Array(), ...more] = certificateChain
  assert.is(more.length, 0)
  const published = await (await fetch(`${publicUrl}/.well-known/assay/device-ca.pem`)).text()
  assert.is(published, certificatePem(issuer))
  writeFileSync(join(folder, "ca.pem"), published)
  writeFileSync(join(folder, "leaf.pem"), certificatePem(leaf))
  const verify = ["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", "ca.pem", "leaf.pem"]
  const { status } = await run("openssl", verify, { cwd: folder })
  const shown = ["x509", "-in", "leaf.pem", "-noout", "-subject", "-ext", "subjectAltName", "-pubkey"]
  return { ok: status === 0, text: (await run("openssl", shown, { cwd: folder })).stdout }
}

const codesOf = ({ result }: VerifyResponse): string[] =>
  (result?.findings ?? []).flatMap(({ code }) => (code === "" ? [] : [code]))

const test = suite("attest, then certify")

let machine: Machine | undefined
test.after(() => machine?.stop())

needs("swtpm", test)("certifies a key that never leaves its TPM, and again after a reboot", () =>
  withServer(async (server, folder) => {
    machine = await swtpmMachine()
    const { attester } = machine
    await register(server, attester, "gate-7")
    const gateway = gatewayOf(server)
    try {
      const key = await attester.certifyKey()
      const first = await certify(gateway, attester, key, "gate-7")
      assert.is(first.token.case, "sessionToken", codesOf(first).join())
      const { ok, text } = await judged(server, folder, first)
      assert.ok(ok, "openssl")
      assert.match(text, /subject=CN = gate-7/)
      assert.match(text, /URI:spiffe:\/\/assay\.internal\/tenant\/default\/device\/gate-7/)

      // Renewed by attesting again: the key that the TPM kept, another certificate, as before and after a reboot.
      const again = await certify(gateway, attester, await attester.certifyKey())
      await machine.boot()
      const stale = await certify(gateway, attester, key)
      assert.equal(codesOf(stale), ["KEY_CERTIFICATION"])
      assert.equal(stale.certificateChain, [])
      const rebooted = await certify(gateway, attester, await attester.certifyKey())
      for (const renewed of [again, rebooted]) {
        const now = await judged(server, folder, renewed)
        assert.ok(now.ok)
        assert.is(now.text, text)
        assert.not(
          sameBytes(
            renewed.certificateChain[0] ?? new Uint8Array(),
            first.certificateChain[0] ?? new Uint8Array(),
          ),
        )
      }

      // Nobody gets a certificate for what booted otherwise.
      await machine.boot({ bootLoader: "another" })
      const changed = await certify(gateway, attester, await attester.certifyKey())
      assert.is(changed.result?.tier, Tier.CONTRAINDICATED)
      assert.equal(changed.certificateChain, [])
    } finally {
      gateway.close()
    }
  }),
)

/** A policy that lets in what booted nothing. */
const UNBOOTED = {
  version: 1,
  name: "unbooted",
  evidence: { banks: ["sha256"], pcrs: [0], eventLog: "optional", unextendedBootPcrs: "tolerated" },
  references: [{ name: "nothing", pcrs: { sha256: { 0: "00".repeat(32) } } }],
  ak: { binding: "operator" },
  session: { lifetimeSeconds: 300, admit: "warning", audiences: [AUDIENCE] },
}

needs("swtpm", test)("gets a certificate from the command line, and keeps the last one when refused", () =>
  withServer(async (server, folder) => {
    const swtpm = await copiedSwtpm(["sha256"])
    const command = async (...args: readonly string[]) => {
      const ended = await assayHere([...args, "-o", "json"])
      return { ...ended, answer: JSON.parse(ended.stdout === "" ? "{}" : ended.stdout) }
    }
    const where = ["--tcti", swtpm.tcti, "--eventlog", join(folder, "none"), "--out", folder]
    const attest = (...args: readonly string[]) =>
      command(
        ...[
          "agent",
          "attest",
          "--audience",
          AUDIENCE,
          "--device",
          "gate-7",
          "--address",
          server.listen[0] ?? "",
        ],
        ...["--credential", server.credentials["gateway"] ?? "", ...where, ...args],
      )
    try {
      const agent = await createAgent({ tcti: swtpm.tcti })
      await admit(server, agent, "gate-7", UNBOOTED)

      const got = await attest("--certify")
      assert.is(got.status, 0, got.stderr)
      const file = join(folder, "device.pem")
      assert.is(got.answer.certificate, file)
      const verify = ["verify", "-purpose", "sslclient", "-CAfile", "device-ca.pem", "device.pem"]
      const published = await fetch(`${server.publicUrl}/.well-known/assay/device-ca.pem`)
      writeFileSync(join(folder, "device-ca.pem"), await published.text())
      assert.is((await run("openssl", verify, { cwd: folder })).status, 0)

      const before = readFileSync(file, "utf8")
      assert.is((await attest("--certify", "--confirmation", `jkt:${"00".repeat(32)}`)).status, 2)
      await swtpm.extendPcr(0, new Map([["sha256", new Uint8Array(32).fill(1)]]))
      const refused = await attest("--certify")
      assert.equal([refused.status, refused.answer.certificate], [1, undefined])
      assert.is(readFileSync(file, "utf8"), before)
    } finally {
      await swtpm.stop()
    }
  }),
)

test("lets a device call with its certificate, for itself alone", () =>
  withServer(async (server) => {
    const device = createSoftwareDevice({ algorithm: "p256" })
    const innocent = createSoftwareDevice({ algorithm: "p256" })
    await register(server, device, "pump-1")
    await register(server, innocent, "pump-2")
    const keys = generateKeys("p256")
    const key = createSoftwareKey({ keys })
    const gateway = gatewayOf(server)
    const { certificateChain } = await certify(gateway, device, certified(device, key))
    gateway.close()
    const port = server.listen[1]?.split(":").at(-1)
    const self = createAttestationClient(`localhost:${port}`, {
      tls: {
        ca: Buffer.from(pem(SERVER_AUTHORITY.der)),
        certificate: Buffer.from(certificateChain.map(certificatePem).join("")),
        key: Buffer.from(String(keys.privateKey.export({ type: "pkcs8", format: "pem" }))),
      },
    })
    try {
      const renewed = await certify(self, device, certified(device, key))
      assert.is(renewed.token.case, "sessionToken", codesOf(renewed).join())
      assert.is(renewed.certificateChain.length, 2)
      await rejectsCode(() => certify(self, innocent, certified(innocent, key), "pump-2"), "PERMISSION")
      await rejectsCode(() => certify(self, innocent, certified(innocent, key)), "PERMISSION")
    } finally {
      self.close()
    }
  }))

test.run()
