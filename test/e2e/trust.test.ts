/** Certificates from one end to the other: a real TPM's EK certificate, a certified AK, the server and the commands. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { createSoftwareDevice } from "../../src/device/software.ts"
import { type Swtpm, startSwtpm } from "../../src/device/swtpm.ts"
import { parsePublic } from "../../src/evidence/tpm/public.ts"
import { createKeyObject } from "../../src/verification/key.ts"
import { needs } from "../support/vectors.ts"
import {
  AK_EXTENSIONS,
  cn,
  INTERMEDIATE_KEYS,
  INTERMEDIATE_NAME,
  makeCertificate,
  makeChain,
  p256Keys,
} from "../support/x509.ts"
import { assayHere as assay, inFolder } from "./programs.ts"
import { type ServerProcess, serve } from "./server.ts"

const test = suite("trust")

/** A command over the server's administration socket, and its answer. */
const command = async ({ admin }: ServerProcess, ...args: readonly string[]) => {
  const { status, stdout, stderr } = await assay([...args, "--admin", admin])
  return { status, stderr, answer: JSON.parse(stdout === "" ? "{}" : stdout) }
}
const done = async (server: ServerProcess, ...args: readonly string[]) => {
  const { status, stderr, answer } = await command(server, ...args)
  assert.is(status, 0, stderr)
  return answer
}

const policyFor = (value: string, more: object): string =>
  JSON.stringify({
    version: 1,
    name: "fleet",
    evidence: { banks: ["sha256"], pcrs: [0], eventLog: "optional", unextendedBootPcrs: "tolerated" },
    references: [{ name: "any", pcrs: { sha256: { 0: value } } }],
    ak: { binding: "operator" },
    ...more,
    session: { lifetimeSeconds: 300, admit: "warning", audiences: ["orders"] },
  })

const readiness = async ({ privateUrl }: ServerProcess): Promise<number> =>
  (await fetch(`${privateUrl}/readyz`)).status

needs("swtpm", test)(
  "a TPM's own EK certificate is registered, told, and no longer good without its anchor",
  () =>
    inFolder(async (folder) => {
      const server = await serve(folder)
      const swtpm: Swtpm = await startSwtpm(["sha256"], { certified: true })
      try {
        const [issuer = "", root = ""] = swtpm.authorities
        const tcti = ["--tcti", swtpm.tcti]
        const { status, stderr, stdout } = await assay(["agent", "key", "--out", folder, ...tcti])
        assert.is(status, 0, stderr)
        const { files } = JSON.parse(stdout)
        assert.equal(files.ekChain, [join(folder, "ek.der")])
        const register = [
          ...["device", "register", "--ak", files.ak, "--qualified-name", files.qualifiedName, "--id", "d"],
          ...["--ek-chain", ...files.ekChain],
        ]

        // Nobody decided about this maker: refused, and kept for review.
        const unknown = await command(server, ...register, issuer)
        assert.equal([unknown.status, unknown.answer.error.code], [1, "UNTRUSTED_ROOT"])
        const pending = await done(server, "trust", "pending")
        assert.match(pending.issuers[0].issuer, /swtpm-localca/)

        await done(server, "trust", "import", root, "--purpose", "ek", "--provenance", "test")
        await done(server, "trust", "import", issuer)
        await done(server, ...register)
        const policy = join(folder, "policy.json")
        const ek = { ek: { certificate: "required" }, tpm: { manufacturers: ["id:00001014"] } }
        writeFileSync(policy, policyFor("00".repeat(32), ek))
        await done(server, "policy", "assign", policy, "--device", "d")

        const attest = async () => {
          const ran = await assay([
            ...["agent", "attest", "--audience", "orders", "--device", "d", "--address", server.tcp],
            ...["--credential", join(server.data, "gateway.credential"), ...tcti],
          ])
          return { status: ran.status, ...JSON.parse(ran.stdout) }
        }
        const good = await attest()
        const [told] = good.endorsements
        assert.equal([told.key, told.model, told.manufacturer], ["endorsement key", "swtpm", "id:00001014"])
        assert.match(told.anchor, /swtpm-localca-rootca/)

        const { anchors } = await done(server, "trust", "list")
        const id = anchors.find(({ subject }: { subject: string }) => /swtpm-localca/.test(subject)).id
        await done(server, "trust", "remove", id)
        const refused = await attest()
        assert.equal([refused.status, refused.findings[0].code], [1, "UNTRUSTED_ROOT"])
        assert.equal(refused.endorsements, [])
      } finally {
        await swtpm.stop()
        assert.is(await server.end(), 0)
      }
    }),
)

test("a certified attestation key needs nobody's word, and without any anchor nothing is let in", () =>
  inFolder(async (folder) => {
    const server = await serve(folder)
    try {
      const device = createSoftwareDevice({ algorithm: "p256" })
      const spki = createKeyObject(parsePublic(device.akPublic).key).export({ type: "spki", format: "der" })
      const chain = makeChain("ak", { leaf: { spki: new Uint8Array(spki) } })
      const written = (name: string, bytes: Uint8Array): string => {
        writeFileSync(join(folder, name), bytes)
        return join(folder, name)
      }
      const files = {
        ak: written("ak.pub", device.akPublic),
        root: written("root.der", chain.root),
        intermediate: written("intermediate.der", chain.intermediate),
        leaf: written("leaf.der", chain.leaf),
      }
      await done(server, "trust", "import", files.root, "--purpose", "ak")
      const registered = ["device", "register", "--ak", files.ak, "--id", "v", "--ak-chain"]

      const stranger = p256Keys()
      const other = makeCertificate(stranger, INTERMEDIATE_KEYS, cn("x"), INTERMEDIATE_NAME, AK_EXTENSIONS)
      const mismatch = await command(server, ...registered, written("other.der", other), files.intermediate)
      assert.equal([mismatch.status, mismatch.answer.error.code], [1, "AK_NAME"])
      await done(server, ...registered, files.leaf, files.intermediate)

      assert.is(await readiness(server), 200)
      for (const { id } of (await done(server, "trust", "list")).anchors)
        await done(server, "trust", "remove", id)
      assert.is(await readiness(server), 503)
      const shown = await assay(["check", "chain", files.leaf, "--intermediates", files.intermediate])
      assert.is(JSON.parse(shown.stdout).code, "UNTRUSTED_ROOT")
    } finally {
      assert.is(await server.end(), 0)
    }
  }))
test.run()
