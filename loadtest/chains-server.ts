/**
 * The process in which the path of an endorsement key's certificate is measured: leaf, intermediate and anchor, with
 * everything in them that makers of TPMs write, against the bare work of `node:crypto` on the same bytes.
 */
import { X509Certificate } from "node:crypto"
import { utf8 } from "../src/bytes.ts"
import { parseCertificate } from "../src/evidence/x509/certificate.ts"
import { type ChainOptions, verifyChain } from "../src/verification/chain.ts"
import { type Anchor, createTrust, type Trust } from "../src/verification/trust.ts"
import {
  authorityKeyId,
  basicConstraints,
  distributionPoint,
  EKU_EK,
  extension,
  extKeyUsage,
  integer,
  type Keys,
  keyUsage,
  makeCertificate,
  name,
  oid,
  p256Keys,
  rsaKeys,
  seq,
  set,
  subjectKeyId,
  tlv,
  tpmName,
} from "../test/support/x509.ts"
import type { ChainCase, ChainRound } from "./chains.ts"
import { createStopwatch, microsecondsEach, offer } from "./child.ts"

const AT = new Date("2026-01-01T00:00:00Z")
const OPTIONS: ChainOptions = { purpose: "ek", at: AT, revocation: "off" }
const NOBODY_DENIED = { size: 0, find: () => undefined }
/** A round goes to and fro between both so many times, so that whatever else the machine does meets both. */
const TURNS = 10

const maker = (commonName: string): Uint8Array =>
  name({ "2.5.4.6": "DE", "2.5.4.10": "Bench TPM Maker", "2.5.4.11": "OPTIGA(TM)", "2.5.4.3": commonName })

const access = extension(
  "1.3.6.1.5.5.7.1.1",
  seq(seq(oid("1.3.6.1.5.5.7.48.2"), tlv(0x86, utf8("http://pki.example.com/ca/intermediate.crt")))),
)
const policies = extension("2.5.29.32", seq(seq(oid("1.2.276.0.68.1.20.1"))))
const specification = extension(
  "2.5.29.9",
  seq(seq(oid("2.23.133.2.16"), set(seq(tlv(0x0c, utf8("2.0")), integer(0), integer(138))))),
)

const keyId = ({ spki }: Keys): Uint8Array => spki.slice(-20)
const links = (keys: Keys, issuer: Keys): readonly Uint8Array[] => [
  subjectKeyId(keyId(keys)),
  authorityKeyId(keyId(issuer)),
  distributionPoint("http://pki.example.com/crl/maker.crl"),
  access,
  policies,
]

/** DER of the three certificates, all with keys of one kind. */
function makePath(algorithm: ChainCase["algorithm"]) {
  const makeKeys = algorithm === "p256" ? p256Keys : rsaKeys
  const [root, ca, ek] = [makeKeys(), makeKeys(), makeKeys()]
  const [rootName, caName] = [maker("Bench TPM Root CA"), maker("Bench TPM Manufacturing CA 001")]
  const ofCa = (pathLen: number, ...identifiers: readonly Uint8Array[]): readonly Uint8Array[] => [
    basicConstraints(true, pathLen),
    keyUsage(5, 6),
    ...identifiers,
  ]
  const leaf = [
    basicConstraints(false),
    keyUsage(algorithm === "p256" ? 4 : 2),
    extKeyUsage(EKU_EK),
    tpmName(),
    specification,
    ...links(ek, ca),
  ]
  return {
    leaf: makeCertificate(ek, ca, seq(), caName, leaf),
    intermediate: makeCertificate(ca, root, caName, rootName, ofCa(0, ...links(ca, root))),
    anchor: makeCertificate(root, root, rootName, rootName, ofCa(1, subjectKeyId(keyId(root)))),
  }
}

type Path = ReturnType<typeof makePath>

const anchorOf = (der: Uint8Array): Anchor => ({
  certificate: parseCertificate(der),
  purpose: "ek",
  revocation: "off",
})
const trustIn = (anchors: readonly Anchor[]): Trust =>
  createTrust({ anchors, intermediates: [], crls: [], denied: NOBODY_DENIED })

/** The anchor among others with names of their own. */
const install = (anchor: Uint8Array, count: number): Trust => {
  const keys = p256Keys()
  const others = Array.from({ length: count - 1 }, (_, n) => {
    const other = maker(`Bench TPM Root CA of another maker ${n}`)
    return makeCertificate(keys, keys, other, other, [basicConstraints(true), keyUsage(5, 6)])
  })
  return trustIn([...others, anchor].map(anchorOf))
}

/** What no verifier can do without: reading the three, and a signature for each of the two links. */
const bare = ({ leaf, intermediate, anchor }: Path): void => {
  const [first, second, last] = [leaf, intermediate, anchor].map((der) => new X509Certificate(der))
  if (first === undefined || second === undefined || last === undefined) throw new Error("not three")
  if (!first.verify(second.publicKey) || !second.verify(last.publicKey)) throw new Error("not a path")
}

/** With one anchor the trust is made in the call; with more it is there, and the anchor is read all the same. */
const verify = ({ leaf, intermediate, anchor }: Path, installed: Trust | undefined): void => {
  const root = anchorOf(anchor)
  verifyChain(parseCertificate(leaf), [parseCertificate(intermediate)], installed ?? trustIn([root]), OPTIONS)
}

const paths = new Map<ChainCase["algorithm"], Path>()
const installations = new Map<string, Trust>()
const stopwatch = createStopwatch()

/** What the bench asks of this process. */
const functions = {
  /** CPU µs of one bare path and of one of Assay's, over so many of each. */
  chain: ({ algorithm, anchors }: ChainCase, count: number): ChainRound => {
    const path = paths.get(algorithm) ?? makePath(algorithm)
    paths.set(algorithm, path)
    const key = `${algorithm} ${anchors}`
    const trust = anchors === 1 ? undefined : (installations.get(key) ?? install(path.anchor, anchors))
    if (trust !== undefined) installations.set(key, trust)
    const each = Math.ceil(count / TURNS)
    const measure = (act: () => void): number => {
      stopwatch.begin()
      for (let i = 0; i < each; i++) act()
      return microsecondsEach(stopwatch.end(), each * TURNS)
    }
    const round = { bare: 0, verify: 0 }
    for (let turn = 0; turn < TURNS; turn++) {
      round.bare += measure(() => bare(path))
      round.verify += measure(() => verify(path, trust))
    }
    return round
  },
}
export type ChainsFunctions = typeof functions

offer(functions, async () => {})
