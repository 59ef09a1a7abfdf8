/** against the whole service: chains that lead elsewhere, and certificates that may not do what they do. */

import { suite } from "uvu"
import type { TrustImport } from "../../src/service/ports.ts"
import { spent } from "../support/attack.ts"
import { type Authority, authority, unknownExtension } from "../support/crl.ts"
import {
  akChainOf,
  caOf,
  chainTable,
  INTERMEDIATE,
  idOf,
  leafOf,
  type MakeChain,
  ROOT,
  trustingScene,
} from "../support/endorsed.ts"
import { newAct } from "../support/ports/samples.ts"
import { P256, P384, RSAPSS, RSASSA } from "../support/victim.ts"
import {
  AK_EXTENSIONS,
  basicConstraints,
  type CertificateParts,
  caExtensions,
  cn,
  directoryName,
  dns,
  EKU_AK,
  EKU_EK,
  extKeyUsage,
  INTERMEDIATE_NAME,
  keyUsage,
  name,
  nameConstraints,
  octets,
  ROOT_NAME,
  seq,
  subjectAltName,
  tpmName,
  withExtensions,
  withoutExtensions,
} from "../support/x509.ts"

const test = suite("attacks on certificate paths")

const A = authority("CA A")
const B = authority("CA B")
const C = authority("CA C")
const STRANGER = authority("Stranger Root")
const EK_ROOT = authority("Root for endorsement keys")
const OTHER_TENANT = authority("Root of another tenant")
const KEPT = authority("Root that is only kept")
const FLAT = authority("Root that allows no CA below")
const ODD = authority("Root with what nobody knows")
const NARROW = authority("Root for some names")
const FOR_EK = authority("Root whose purposes are those of endorsement keys")

const itself = (who: Authority, extensions = caExtensions()): Uint8Array => caOf(who, who, extensions)
const nothing: TrustImport = { anchors: [], intermediates: [], crls: [], eks: [] }

const scene = trustingScene(test, async ({ trust, trustAnchor, now }) => {
  trustAnchor(itself(EK_ROOT), { purpose: "ek" })
  trustAnchor(itself(FLAT, caExtensions(0)))
  trustAnchor(itself(ODD, [...caExtensions(), unknownExtension(true)]))
  trustAnchor(itself(NARROW, [...caExtensions(), nameConstraints([directoryName(cn("Permitted"))])]))
  trustAnchor(itself(FOR_EK, [...caExtensions(), extKeyUsage(EKU_EK)]))
  const certificate = itself(OTHER_TENANT)
  const settings = { label: "", purpose: "any", revocation: "off", provenance: "" } as const
  await trust.importTrust(
    "other",
    { ...nothing, anchors: [{ id: idOf(certificate), certificate, ...settings }] },
    newAct("import-trust", { at: now() }),
  )
  const kept = itself(KEPT)
  const intermediates = [{ id: idOf(kept), certificate: kept, source: "import" }]
  await trust.importTrust("default", { ...nothing, intermediates }, newAct("import-trust", { at: now() }))
})

/** A leaf by the usual intermediate, changed. */
const leaf =
  (changed: Partial<CertificateParts>): MakeChain =>
  (device) =>
    akChainOf(device, { leaf: changed })
/** The usual leaf with other extensions. */
const saying = (...extensions: readonly Uint8Array[]): MakeChain =>
  leaf({ extensions: withExtensions(AK_EXTENSIONS, ...extensions) })
/** A leaf below CAs, the last first, by the anchor of every test. */
const below =
  (...cas: readonly (readonly [who: Authority, extensions?: readonly Uint8Array[]])[]): MakeChain =>
  (device) => [
    leafOf(device, cas[0]?.[0] ?? ROOT),
    ...cas.map(([who, extensions], i) => caOf(who, cas[i + 1]?.[0] ?? ROOT, extensions)),
  ]

const twin = { ...STRANGER, name: ROOT_NAME }
chainTable(
  test,
  "X-01",
  "UNTRUSTED_ROOT",
  [
    [
      "a chain to a root that came with it",
      P256,
      (device) => [leafOf(device, A), caOf(A, STRANGER), itself(STRANGER)],
    ],
    ["a chain to a root that nobody has", RSASSA, (device) => [leafOf(device, A), caOf(A, STRANGER)]],
    ["a leaf by nobody that is known", P384, (device) => [leafOf(device, STRANGER)]],
    [
      "a chain to another root with the name of a trusted one",
      P256,
      (device) => [leafOf(device, A), caOf(A, twin), itself(twin)],
    ],
    ["a leaf that issued itself", RSAPSS, (device) => [leafOf(device, A, { subject: A.name })]],
    ["a root that is trusted for endorsement keys", P384, (device) => [leafOf(device, EK_ROOT)]],
    ["a root that another tenant trusts", P256, (device) => [leafOf(device, OTHER_TENANT)]],
    ["a root that is kept and not trusted", RSASSA, (device) => [leafOf(device, KEPT)]],
    ["a chain without its intermediate", RSAPSS, (device) => akChainOf(device).slice(0, 1)],
    [
      "an issuer whose name looks like a trusted one's",
      P256,
      leaf({ issuer: cn("Test Intеrmediate") }), // a Cyrillic letter
    ],
  ],
  scene,
)

const device = authority("A device of the maker", A.keys)
chainTable(
  test,
  "X-02",
  "ISSUER_NOT_CA",
  [
    ["a leaf by a device's own key", P256, below([device, AK_EXTENSIONS], [INTERMEDIATE])],
    ["an issuer without basicConstraints", RSASSA, below([A, [keyUsage(5, 6)]])],
    ["an issuer that says it is no CA", P384, below([A, [basicConstraints(false), keyUsage(5, 6)]])],
    ["an issuer that may not sign certificates", P256, below([A, [basicConstraints(true), keyUsage(0, 6)]])],
    [
      "an issuer of version 1",
      RSAPSS,
      (device) => [leafOf(device, A), caOf(A, ROOT, [], { version: new Uint8Array() })],
    ],
    ["an issuer above the issuer that is no CA", P256, below([A], [B, [basicConstraints(false)]])],
    ["a leaf that may sign certificates itself", RSASSA, saying(keyUsage(0, 5)), spent("KEY_USAGE")],
    ["a leaf that is a CA", P384, saying(basicConstraints(true), keyUsage(0, 5)), spent("KEY_USAGE")],
  ],
  scene,
)

chainTable(
  test,
  "X-03",
  "PATH_LEN",
  [
    ["a CA below one that allows none", P256, below([A], [B, caExtensions(0)])],
    ["two CAs below one that allows one", RSASSA, below([A], [B], [C, caExtensions(1)])],
    ["a CA below a root that allows none", P384, (device) => [leafOf(device, A), caOf(A, FLAT)]],
    [
      "a CA behind one that changed its key, which does not count",
      RSAPSS,
      (device) => {
        const renewed = { ...B, keys: C.keys }
        return [leafOf(device, A), caOf(A, renewed), caOf(renewed, B), caOf(B, ROOT, caExtensions(0))]
      },
    ],
    [
      "a CA below one that allows fewer than the one above",
      P256,
      below([A], [B, caExtensions(0)], [C, caExtensions(5)]),
    ],
    ["a leaf that limits paths and is no CA", RSASSA, saying(basicConstraints(false, 0))],
  ],
  scene,
)

chainTable(
  test,
  "X-04",
  "CRITICAL_EXT",
  [
    ["one in the leaf", P256, saying(unknownExtension(true))],
    ["one in the intermediate", RSASSA, below([A, [...caExtensions(), unknownExtension(true)]])],
    ["one in the trust anchor", P384, (device) => [leafOf(device, ODD)]],
    [
      "one in a CA far from the leaf",
      RSAPSS,
      below([A], [B], [C, [...caExtensions(), unknownExtension(true)]]),
    ],
    ["one whose value is no DER", P256, saying(unknownExtension(true, Uint8Array.of(0x30, 0x80, 1)))],
    ["one without a value", RSASSA, saying(unknownExtension(true, new Uint8Array()))],
    [
      "one beside the same one that is known",
      P384,
      saying(extKeyUsage(EKU_AK), unknownExtension(true, octets())),
    ],
  ],
  scene,
)

chainTable(
  test,
  "X-05",
  "EKU",
  [
    ["a leaf that says none", P256, leaf({ extensions: withoutExtensions(AK_EXTENSIONS, "2.5.29.37") })],
    ["a leaf with an empty list", RSASSA, saying(extKeyUsage())],
    ["a leaf for any purpose", P384, saying(extKeyUsage("2.5.29.37.0"))],
    ["a leaf of an endorsement key", RSAPSS, saying(extKeyUsage(EKU_EK))],
    ["a leaf of a web server", P256, saying(extKeyUsage("1.3.6.1.5.5.7.3.1"))],
    ["a leaf with a purpose that begins like the one", P256, saying(extKeyUsage(`${EKU_AK}.1`))],
    ["an intermediate for endorsement keys", RSASSA, below([A, [...caExtensions(), extKeyUsage(EKU_EK)]])],
    ["an intermediate for nothing", P384, below([A, [...caExtensions(), extKeyUsage()]])],
    ["a trust anchor for endorsement keys by its own words", P256, (device) => [leafOf(device, FOR_EK)]],
  ],
  scene,
)

const MAKER = { "2.23.133.2.1": "id:49465800" }
const MODEL = { "2.23.133.2.2": "SLB 9670" }
const VERSION = { "2.23.133.2.3": "id:00070055" }
const constrained = (permitted: readonly Uint8Array[], excluded: readonly Uint8Array[] = []): MakeChain =>
  below([A, [...caExtensions(), nameConstraints(permitted, excluded)]])
chainTable(
  test,
  "X-06",
  "NAME",
  [
    [
      "a leaf without the TPM's name",
      P256,
      leaf({ extensions: withoutExtensions(AK_EXTENSIONS, "2.5.29.17") }),
    ],
    ["a leaf without the manufacturer", RSASSA, saying(tpmName({ ...MODEL, ...VERSION }))],
    ["a leaf without the model", P384, saying(tpmName({ ...MAKER, ...VERSION }))],
    ["a leaf without the version", RSAPSS, saying(tpmName({ ...MAKER, ...MODEL }))],
    [
      "a manufacturer by another spelling",
      P256,
      saying(tpmName({ ...MODEL, ...VERSION, "2.23.133.2.1": "Infineon" })),
    ],
    [
      "a leaf with two manufacturers",
      P256,
      saying(
        subjectAltName([
          directoryName(name({ ...MAKER, ...MODEL, ...VERSION })),
          directoryName(name({ "2.23.133.2.1": "id:53544D20" })),
        ]),
      ),
    ],
    ["the TPM's name as a web server's", RSASSA, saying(subjectAltName([dns("id:49465800")]))],
    ["a name that the CA does not permit", P384, constrained([directoryName(cn("Permitted"))])],
    ["a name that the CA excludes", RSAPSS, constrained([], [directoryName(name(MAKER))])],
    ["a name that the trust anchor does not permit", P256, (device) => [leafOf(device, NARROW)]],
    ["a leaf whose issuer has no name", RSASSA, leaf({ issuer: seq() })],
    [
      "a CA without a name",
      P384,
      (device) => [
        leafOf(device, INTERMEDIATE),
        caOf(INTERMEDIATE, { ...A, name: seq() }),
        caOf({ ...A, name: seq() }, ROOT),
      ],
    ],
  ],
  scene,
)

void INTERMEDIATE_NAME
test.run()
