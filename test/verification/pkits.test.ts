/** NIST's Public Key Interoperability Test Suite, with the verdicts of wbond/certvalidator. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { NamedFile } from "../../src/service/check-chain.ts"
import { assay, fileOf, jsonOf } from "../cli/run.ts"
import { checkFiles, Tally } from "../support/chains.ts"
import { isThere, needs, VECTORS, vector, vectorJson } from "../support/vectors.ts"

const test = suite("PKITS")
const withVectors = needs("vectors", test)

interface Case {
  readonly id: string
  readonly endEntity: string
  readonly intermediates: readonly string[]
  readonly crls: readonly string[]
  readonly requireRevocation: boolean
  readonly valid: boolean
}

interface Suite {
  readonly trustAnchor: string
  readonly trustAnchorCrl: string
  readonly cases: readonly Case[]
}

/** Within the validity of everything that is to be valid; the certificates are of 2010 to 2030. */
const AT = new Date("2024-06-01T00:00:00Z")
const NOTHING: Suite = { trustAnchor: "", trustAnchorCrl: "", cases: [] }
const pkits = isThere("vectors") ? vectorJson<Suite>("pkits/expected.json") : NOTHING

const file = (path: string): NamedFile => ({ name: path, bytes: vector(`pkits/${path}`) })
const modeOf = ({ requireRevocation }: Case) => (requireRevocation ? "require" : "when-published")

/** `40801_…` is of section 4.8. */
const sectionOf = ({ id }: Case): string => `4.${Number(id.slice(1, 3))}`

const tally = new Tally("PKITS")

for (const one of pkits.cases)
  withVectors(`${one.valid ? "accepts" : "refuses"} ${one.id}, or says why not`, () => {
    const result = checkFiles({
      leaf: file(`certs/${one.endEntity}`),
      intermediates: one.intermediates.map((name) => file(`certs/${name}`)),
      anchors: [file(pkits.trustAnchor)],
      crls: [file(pkits.trustAnchorCrl), ...one.crls.map((name) => file(`crls/${name}`))],
      options: { purpose: "any", at: AT, revocation: modeOf(one) },
    })
    tally.count(sectionOf(one), one.id, one.valid, result)
  })

withVectors("differs in no fewer cases than the list says", () => {
  assert.equal(tally.agreedAllTheSame(pkits.cases.map(({ id }) => id)), [])
  assert.is(pkits.cases.length, 115)
  tally.print()
})

/** One of each kind of verdict, through real files and the command line. */
const SAMPLE = [
  "40101_valid_signatures_test1",
  "40103_invalid_ee_signature_test3",
  "40201_invalid_ca_notbefore_date_test1",
  "40303_valid_name_chaining_whitespace_test3",
  "40401_missing_crl_test1",
  "40402_invalid_revoked_ca_test2",
  "40419_valid_separate_certificate_and_crl_keys_test19",
  "40507_invalid_basic_self_issued_crl_signing_key_test7",
  "40602_invalid_ca_false_test2",
  "40605_invalid_pathlenconstraint_test5",
  "40701_invalid_keyusage_critical_keycertsign_false_test1",
  "40812_different_policies_test12",
] as const

const CODES: Readonly<Record<(typeof SAMPLE)[number], string | null>> = {
  "40101_valid_signatures_test1": null,
  "40103_invalid_ee_signature_test3": "CHAIN",
  "40201_invalid_ca_notbefore_date_test1": "VALIDITY",
  "40303_valid_name_chaining_whitespace_test3": null,
  "40401_missing_crl_test1": "REVOCATION",
  "40402_invalid_revoked_ca_test2": "REVOKED",
  "40419_valid_separate_certificate_and_crl_keys_test19": null,
  "40507_invalid_basic_self_issued_crl_signing_key_test7": "REVOKED",
  "40602_invalid_ca_false_test2": "ISSUER_NOT_CA",
  "40605_invalid_pathlenconstraint_test5": "PATH_LEN",
  "40701_invalid_keyusage_critical_keycertsign_false_test1": "ISSUER_NOT_CA",
  "40812_different_policies_test12": "CERTIFICATE_POLICY",
}

for (const id of SAMPLE)
  withVectors(`tells ${id} through the command line`, async () => {
    const one = pkits.cases.find((other) => other.id === id)
    if (one === undefined) throw new Error(`${id} is gone`)
    const path = (name: string): string => `${VECTORS}/pkits/${name}`
    const ran = await assay([
      ...["check", "chain", path(`certs/${one.endEntity}`)],
      ...["--intermediates", ...one.intermediates.map((name) => path(`certs/${name}`))],
      ...["--anchors", path(pkits.trustAnchor), "--crls", path(pkits.trustAnchorCrl)],
      ...one.crls.flatMap((name) => ["--crls", path(`crls/${name}`)]),
      ...["--at", AT.toISOString(), "--revocation", modeOf(one), "-o", "json"],
    ])
    const { accepted, code } = jsonOf<{ accepted: boolean; code: string | null }>(ran)
    assert.equal([ran.status, accepted, code], [one.valid ? 0 : 1, one.valid, CODES[id]])
  })

/** All certificates of the path in one bundle, as PEM, and the leaf through standard input. */
withVectors("reads bundles and standard input as it reads single files", async () => {
  const one = pkits.cases.find(({ id }) => id === "40614_valid_pathlenconstraint_test14")
  if (one === undefined) throw new Error("40614 is gone")
  const pem = (label: string, names: readonly string[]): string =>
    names
      .map((name) => Buffer.from(vector(`pkits/${name}`)).toString("base64"))
      .map((body) => `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`)
      .join("of the next authority\n")
  const bundle = fileOf(
    pem(
      "CERTIFICATE",
      one.intermediates.map((name) => `certs/${name}`),
    ),
    "pem",
  )
  const crls = fileOf(
    pem("X509 CRL", [pkits.trustAnchorCrl, ...one.crls.map((name) => `crls/${name}`)]),
    "pem",
  )
  const anchors = fileOf(vector(`pkits/${pkits.trustAnchor}`))
  const ran = await assay(
    [
      ...["check", "chain", "-", "--intermediates", bundle, "--anchors", anchors, "--crls", crls],
      ...["--at", AT.toISOString(), "--revocation", "require"],
    ],
    { stdin: vector(`pkits/certs/${one.endEntity}`) },
  )
  const { path, revocation } = jsonOf<{ path: readonly object[]; revocation: readonly { status: string }[] }>(
    ran,
  )
  assert.equal([ran.status, path.length], [0, 6])
  assert.equal([...new Set(revocation.map(({ status }) => status))], ["good"])
})

const P1 = "2.16.840.1.101.3.2.1.48.1"
const P2 = "2.16.840.1.101.3.2.1.48.2"

/** Initial policy inputs of NIST's test descriptions, 4.8 and 4.12.3, over the certificates that are here. */
const INPUTS: readonly [
  id: string,
  options: readonly string[],
  policies: readonly string[] | null | undefined,
][] = [
  ["40101_valid_signatures_test1", ["--explicit-policy"], [P1]],
  ["40101_valid_signatures_test1", ["--policy", P1, P2, "--explicit-policy"], [P1]],
  ["40101_valid_signatures_test1", ["--policy", P2, "--explicit-policy"], undefined],
  ["40802_all_certificates_no_policies_test2", ["--policy", P1], []],
  ["40802_all_certificates_no_policies_test2", ["--explicit-policy"], undefined],
  ["40803_different_policies_test3", ["--policy", P1, "--policy", P2, "--explicit-policy"], undefined],
  ["40806_overlapping_policies_test3", ["--policy", P1], [P1]],
  ["40806_overlapping_policies_test3", ["--policy", P2], undefined],
  ["40811_all_certificates_any_policy_test10", ["--explicit-policy"], null],
  ["40811_all_certificates_any_policy_test10", ["--policy", P1, "--explicit-policy"], [P1]],
  ["40811_all_certificates_any_policy_test10", ["--explicit-policy", "--inhibit-any-policy"], undefined],
  ["40814_any_policy_test14", ["--policy", P1, "--explicit-policy"], [P1]],
  ["40814_any_policy_test14", ["--policy", P2, "--explicit-policy"], undefined],
  ["41203_inhibit_any_policy_test3", ["--inhibit-any-policy"], undefined],
  ["41009_valid_policy_mapping_test9", ["--inhibit-policy-mapping"], [P1]],
]
for (const [id, options, policies] of INPUTS)
  withVectors(
    `${policies === undefined ? "refuses" : "accepts"} ${id} with ${options.join(" ")}`,
    async () => {
      const one = pkits.cases.find((other) => other.id === id)
      if (one === undefined) throw new Error(`${id} is gone`)
      const path = (name: string): string => `${VECTORS}/pkits/certs/${name}`
      const ran = await assay([
        ...["check", "chain", path(one.endEntity), "--intermediates", ...one.intermediates.map(path)],
        ...["--anchors", `${VECTORS}/pkits/${pkits.trustAnchor}`],
        ...["--at", AT.toISOString(), "--revocation", "off", ...options],
      ])
      const answer = jsonOf<{ code: string | null; policies: readonly string[] | null }>(ran)
      assert.equal([ran.status, answer.code], policies === undefined ? [1, "CERTIFICATE_POLICY"] : [0, null])
      assert.equal(answer.policies, policies ?? null)
    },
  )

test.run()
