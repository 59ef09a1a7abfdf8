/** x509-limbo, and own certificates for rules of it that its shared cases do not reach. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Code } from "../../src/errors.ts"
import type { ChainCheck, NamedFile } from "../../src/service/check-chain.ts"
import { assay, fileOf, jsonOf } from "../cli/run.ts"
import { checkFiles, pemFile, Tally } from "../support/chains.ts"
import { isThere, needs, vectorJson } from "../support/vectors.ts"
import {
  authorityKeyId,
  basicConstraints,
  caExtensions,
  cn,
  dns,
  email,
  extension,
  extKeyUsage,
  INTERMEDIATE_KEYS,
  INTERMEDIATE_NAME,
  ip,
  keyUsage,
  LEAF_KEYS,
  makeCertificate,
  nameConstraints,
  oid,
  otherName,
  p256Keys,
  ROOT_KEYS,
  ROOT_NAME,
  seq,
  subjectAltName,
  subjectKeyId,
  tlv,
  uri,
  withExtensions,
} from "../support/x509.ts"

const test = suite("x509-limbo")
const withVectors = needs("vectors", test)

interface Case {
  readonly id: string
  readonly trusted_certs: readonly string[]
  readonly untrusted_intermediates: readonly string[]
  readonly peer_certificate: string
  readonly crls: readonly string[]
  readonly validation_time: string | null
  readonly max_chain_depth: number | null
  readonly expected_peer_name: { readonly kind: "DNS" | "IP" | "RFC822"; readonly value: string } | null
  readonly expected_result: "SUCCESS" | "FAILURE"
}

/** Where a case says "now"; its certificates are of 1970 to 2969. */
const NOW = "2026-03-01T00:00:00Z"

const { testcases } = isThere("vectors")
  ? vectorJson<{ testcases: readonly Case[] }>("x509-limbo/limbo-shared.json")
  : { testcases: [] }

const files = (name: string, pems: readonly string[]): NamedFile[] =>
  pems.map((pem, i) => pemFile(`${name}${i}`, pem))

/** The namespace: all but the last word. */
const sectionOf = ({ id }: Case): string => id.split("::").slice(0, -1).join("::")

/** Without a CRL nothing is to be found out about revocation: a real server's certificate names one that is not here. */
const modeOf = ({ crls }: Case) => (crls.length > 0 ? "when-published" : "off")

const tally = new Tally("limbo")

for (const one of testcases) {
  const expected = one.expected_result === "SUCCESS"
  withVectors(`${expected ? "accepts" : "refuses"} ${one.id}, or says why not`, () => {
    const { max_chain_depth: maxDepth, expected_peer_name: peer } = one
    const result = checkFiles({
      leaf: pemFile("leaf", one.peer_certificate),
      intermediates: files("intermediate", one.untrusted_intermediates),
      anchors: files("anchor", one.trusted_certs),
      crls: files("crl", one.crls),
      options: {
        purpose: "any",
        at: new Date(one.validation_time ?? NOW),
        revocation: modeOf(one),
        ...(maxDepth !== null && { maxDepth }),
        ...(peer !== null && { serverName: peer.value }),
      },
    })
    tally.count(sectionOf(one), one.id, expected, result)
  })
}

withVectors("differs in no fewer cases than the list says", () => {
  assert.equal(tally.agreedAllTheSame(testcases.map(({ id }) => id)), [])
  assert.is(testcases.length, 133)
  tally.print()
})

/** One for each kind of verdict, through real files and the command line. */
const SAMPLE: Readonly<Record<string, string | null>> = {
  "crl::certificate-not-on-crl": null,
  "crl::revoked-certificate-with-crl": "REVOKED",
  "crl::issuer-missing-crlsign": "REVOCATION",
  "online::cloudflare.com": null,
  "pathlen::max-chain-depth-1-self-issued": null,
  "pathlen::max-chain-depth-0-exhausted": "PATH_LEN",
  "pathological::nc-dos-1": "CERTIFICATE",
  "rfc5280::nc::permitted-dns-match": null,
  "rfc5280::nc::excluded-dns-match-second": "NAME",
  "rfc5280::unknown-critical-extension-intermediate": "CRITICAL_EXT",
  "rfc5280::validity::notafter-exact": null,
  "webpki::forbidden-p192-leaf": "WEAK_ALG",
}

for (const [id, code] of Object.entries(SAMPLE))
  withVectors(`tells ${id} through the command line`, async () => {
    const one = testcases.find((other) => other.id === id)
    if (one === undefined) throw new Error(`${id} is gone`)
    const bundle = (pems: readonly string[]): string => fileOf(pems.join("\n"), "pem")
    const option = (name: string, pems: readonly string[]) => (pems.length === 0 ? [] : [name, bundle(pems)])
    const ran = await assay([
      ...["check", "chain", bundle([one.peer_certificate])],
      ...option("--intermediates", one.untrusted_intermediates),
      ...option("--anchors", one.trusted_certs),
      ...option("--crls", one.crls),
      ...["--at", one.validation_time?.replace("+00:00", "Z") ?? NOW, "--revocation", modeOf(one)],
      ...(one.expected_peer_name === null ? [] : ["--name", one.expected_peer_name.value]),
      ...(one.max_chain_depth === null ? [] : ["--max-depth", String(one.max_chain_depth)]),
      ...["-o", "json"],
    ])
    const answer = jsonOf<{ accepted: boolean; code: string | null }>(ran)
    const status = code === null ? 0 : code === "CERTIFICATE" ? 2 : 1
    assert.equal([ran.status, answer.accepted, answer.code], [status, code === null, code])
  })

const HOST = "example.com"
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
const AIA = "1.3.6.1.5.5.7.1.1"
const ID = { root: Uint8Array.of(1), other: Uint8Array.of(2), intermediate: Uint8Array.of(3) }
const OTHER_ROOT_KEYS = p256Keys()

const CA = [...caExtensions(), subjectKeyId(ID.root)]
const SUB_CA = [...caExtensions(), subjectKeyId(ID.intermediate), authorityKeyId(ID.root)]
const SERVER = [
  basicConstraints(false),
  keyUsage(0),
  extKeyUsage(SERVER_AUTH),
  subjectAltName([dns(HOST)]),
  authorityKeyId(ID.root),
]
const aia = (critical: boolean) =>
  extension(AIA, seq(seq(oid("1.3.6.1.5.5.7.48.2"), uri("http://example.com/ca.der"))), critical)
const points = (...names: readonly Uint8Array[]) =>
  extension("2.5.29.31", seq(seq(tlv(0xa0, tlv(0xa0, ...names)))))

/** Root and leaf of a web server, with extensions in the place of its own. */
interface Server {
  readonly root?: readonly Uint8Array[]
  readonly leaf?: readonly Uint8Array[]
  readonly subject?: Uint8Array
  readonly name?: string | undefined
}
const server = ({ root = [], leaf = [], subject = cn(HOST), ...named }: Server): ChainCheck =>
  check(
    makeCertificate(LEAF_KEYS, ROOT_KEYS, subject, ROOT_NAME, withExtensions(SERVER, ...leaf)),
    [],
    [makeCertificate(ROOT_KEYS, ROOT_KEYS, ROOT_NAME, ROOT_NAME, withExtensions(CA, ...root))],
    "name" in named ? named.name : HOST,
  )

const check = (
  leaf: Uint8Array,
  intermediates: readonly Uint8Array[],
  anchors: readonly Uint8Array[],
  serverName: string | undefined,
): ChainCheck => {
  const named = (name: string, ders: readonly Uint8Array[]) =>
    ders.map((bytes, i) => ({ name: `${name}${i}`, bytes }))
  return checkFiles({
    leaf: { name: "leaf", bytes: leaf },
    intermediates: named("intermediate", intermediates),
    anchors: named("anchor", anchors),
    crls: [],
    options: {
      purpose: "any",
      at: new Date(NOW),
      revocation: "off",
      ...(serverName !== undefined && { serverName }),
    },
  })
}

/** A leaf under an intermediate with constraints. */
const constrained = (constraints: Uint8Array, names: readonly Uint8Array[]): ChainCheck =>
  check(
    makeCertificate(LEAF_KEYS, INTERMEDIATE_KEYS, cn("x"), INTERMEDIATE_NAME, [subjectAltName(names)]),
    [makeCertificate(INTERMEDIATE_KEYS, ROOT_KEYS, INTERMEDIATE_NAME, ROOT_NAME, [...SUB_CA, constraints])],
    [makeCertificate(ROOT_KEYS, ROOT_KEYS, ROOT_NAME, ROOT_NAME, CA)],
    undefined,
  )

const own: readonly [name: string, of: () => ChainCheck, code: Code | null][] = [
  ["a server's certificate", () => server({}), null],
  ["clientAuth beside serverAuth", () => server({ leaf: [extKeyUsage(SERVER_AUTH, CLIENT_AUTH)] }), null],
  [
    "anyExtendedKeyUsage beside serverAuth",
    () => server({ leaf: [extKeyUsage(SERVER_AUTH, "2.5.29.37.0")] }),
    "EKU",
  ],
  [
    "codeSigning beside serverAuth",
    () => server({ leaf: [extKeyUsage(SERVER_AUTH, "1.3.6.1.5.5.7.3.3")] }),
    "EKU",
  ],
  [
    "purposes that are critical",
    () => server({ leaf: [extension("2.5.29.37", seq(oid(SERVER_AUTH)), true)] }),
    "EKU",
  ],
  [
    "a key usage without a usage",
    () => server({ leaf: [extension("2.5.29.15", tlv(0x03, Uint8Array.of(0)))] }),
    "KEY_USAGE",
  ],
  ["access to the issuer's certificate", () => server({ leaf: [aia(false)] }), null],
  [
    "access to the issuer's certificate that is critical",
    () => server({ leaf: [aia(true)] }),
    "CRITICAL_EXT",
  ],
  [
    "no subject, and a critical alternative name",
    () => server({ subject: seq(), leaf: [subjectAltName([dns(HOST)], true)] }),
    null,
  ],
  ["no subject, and an alternative name that is not critical", () => server({ subject: seq() }), "NAME"],
  [
    "a distribution point with an address",
    () => server({ leaf: [points(uri("http://example.com/a.crl"))] }),
    null,
  ],
  [
    "a distribution point with another name beside its address",
    () => server({ leaf: [points(uri("http://example.com/a.crl"), dns(HOST))] }),
    "NAME",
  ],
  [
    "an address that is written as a host name",
    () => server({ subject: seq(), name: "192.0.2.1", leaf: [subjectAltName([dns("192.0.2.1")], true)] }),
    "NAME",
  ],
  [
    "an address",
    () => server({ subject: cn("192.0.2.1"), name: "192.0.2.1", leaf: [subjectAltName([ip(192, 0, 2, 1)])] }),
    null,
  ],
  ["a root that names its own key as its issuer's", () => server({ root: [authorityKeyId(ID.root)] }), null],
  [
    "a root that names another key as its issuer's",
    () => server({ root: [authorityKeyId(ID.other)] }),
    "NAME",
  ],
  [
    "a critical authority key identifier",
    () => server({ root: [extension("2.5.29.35", seq(tlv(0x80, ID.root)), true)] }),
    "CRITICAL_EXT",
  ],
  [
    "an anchor with an issuer above it, whose own root is shown too",
    () =>
      check(
        makeCertificate(LEAF_KEYS, INTERMEDIATE_KEYS, cn(HOST), INTERMEDIATE_NAME, SERVER),
        [makeCertificate(ROOT_KEYS, ROOT_KEYS, ROOT_NAME, ROOT_NAME, CA)],
        [makeCertificate(INTERMEDIATE_KEYS, ROOT_KEYS, INTERMEDIATE_NAME, ROOT_NAME, SUB_CA)],
        HOST,
      ),
    null,
  ],
  [
    "an intermediate without a subject key identifier",
    () =>
      check(
        makeCertificate(LEAF_KEYS, INTERMEDIATE_KEYS, cn(HOST), INTERMEDIATE_NAME, SERVER),
        [
          makeCertificate(INTERMEDIATE_KEYS, ROOT_KEYS, INTERMEDIATE_NAME, ROOT_NAME, [
            ...caExtensions(),
            authorityKeyId(ID.root),
          ]),
        ],
        [makeCertificate(ROOT_KEYS, ROOT_KEYS, ROOT_NAME, ROOT_NAME, CA)],
        HOST,
      ),
    "NAME",
  ],
  ["CVE-2024-0567: CAs that certify one another, and one of them is trusted", () => crossSigned(true), null],
  [
    "X-17 CAs that certify one another, and none of them is trusted",
    () => crossSigned(false),
    "UNTRUSTED_ROOT",
  ],
  [
    "a name that is permitted and excluded",
    () => constrained(nameConstraints([dns(HOST)], [dns(HOST)]), [dns(HOST)]),
    "NAME",
  ],
  [
    "a name of a form that is excluded and not there",
    () => constrained(nameConstraints([dns(HOST)], [otherName()]), [dns(HOST)]),
    null,
  ],
  [
    "a name of a form that is excluded",
    () => constrained(nameConstraints([], [otherName()]), [otherName()]),
    "NAME",
  ],
  [
    "a network where an address has to be",
    () =>
      constrained(nameConstraints([ip(192, 0, 2, 0, 255, 255, 255, 0)]), [
        ip(192, 0, 2, 0, 255, 255, 255, 0),
      ]),
    "NAME",
  ],
  [
    "a constraint by an address alone",
    () => constrained(nameConstraints([ip(192, 0, 2, 1)]), [dns(HOST)]),
    "NAME",
  ],
  // As NIST's 4.13.21 to 4.13.38 have them.
  [
    "4.13.21 a mailbox of a host below",
    () => constrained(nameConstraints([email(".b.gov")]), [email("a@c.b.gov")]),
    null,
  ],
  [
    "4.13.22 a mailbox of the domain",
    () => constrained(nameConstraints([email(".b.gov")]), [email("a@b.gov")]),
    "NAME",
  ],
  [
    "4.13.23 a mailbox of the host",
    () => constrained(nameConstraints([email("b.gov")]), [email("a@b.gov")]),
    null,
  ],
  [
    "4.13.24 a mailbox of another host",
    () => constrained(nameConstraints([email("b.gov")]), [email("a@c.b.gov")]),
    "NAME",
  ],
  [
    "4.13.25 a mailbox beside the excluded host",
    () => constrained(nameConstraints([], [email("b.gov")]), [email("a@c.b.gov")]),
    null,
  ],
  [
    "4.13.26 a mailbox of the excluded host",
    () => constrained(nameConstraints([], [email("b.gov")]), [email("a@b.gov")]),
    "NAME",
  ],
  ["4.13.30 a host below", () => constrained(nameConstraints([dns("b.gov")]), [dns("c.b.gov")]), null],
  ["4.13.31 another host", () => constrained(nameConstraints([dns("b.gov")]), [dns("c.other.gov")]), "NAME"],
  [
    "4.13.33 an excluded host",
    () => constrained(nameConstraints([], [dns("b.gov")]), [dns("c.b.gov")]),
    "NAME",
  ],
  [
    "4.13.34 an address below",
    () => constrained(nameConstraints([uri(".b.gov")]), [uri("http://c.b.gov/index.html")]),
    null,
  ],
  [
    "4.13.35 an address of the domain",
    () => constrained(nameConstraints([uri(".b.gov")]), [uri("http://b.gov/index.html")]),
    "NAME",
  ],
  [
    "4.13.36 an address beside the excluded one",
    () => constrained(nameConstraints([], [uri("b.gov")]), [uri("http://c.b.gov/")]),
    null,
  ],
  [
    "4.13.37 an excluded address with a port",
    () => constrained(nameConstraints([], [uri("b.gov")]), [uri("ftp://b.gov:21/test37/")]),
    "NAME",
  ],
  [
    "4.13.38 a host that only ends alike",
    () => constrained(nameConstraints([dns("b.gov")]), [dns("myb.gov")]),
    "NAME",
  ],
]

/** Three CAs that certify each other, the leaf below the first. */
const crossSigned = (isTrusted: boolean): ChainCheck => {
  const keys = [ROOT_KEYS, OTHER_ROOT_KEYS, INTERMEDIATE_KEYS]
  const names = [ROOT_NAME, cn("Other"), INTERMEDIATE_NAME]
  const ids = [ID.root, ID.other, ID.intermediate]
  const certify = (subject: number, issuer: number): Uint8Array =>
    makeCertificate(
      keys[subject] ?? ROOT_KEYS,
      keys[issuer] ?? ROOT_KEYS,
      names[subject] ?? ROOT_NAME,
      names[issuer] ?? ROOT_NAME,
      [...caExtensions(), subjectKeyId(ids[subject] ?? ID.root), authorityKeyId(ids[issuer] ?? ID.root)],
    )
  const cross = [0, 1, 2].flatMap((subject) =>
    [0, 1, 2].filter((issuer) => issuer !== subject).map((issuer) => certify(subject, issuer)),
  )
  const root = makeCertificate(ROOT_KEYS, ROOT_KEYS, ROOT_NAME, ROOT_NAME, CA)
  return check(
    makeCertificate(LEAF_KEYS, ROOT_KEYS, cn(HOST), ROOT_NAME, SERVER),
    cross,
    isTrusted ? [root] : [],
    HOST,
  )
}

for (const [name, of, code] of own)
  test(`${code === null ? "accepts" : "refuses"} ${name}`, () => {
    const { accepted, error } = of()
    assert.equal([accepted, error?.code ?? null], [code === null, code], error?.message)
  })

test.run()
