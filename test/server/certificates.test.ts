import { hash } from "node:crypto"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { parseCertificate } from "../../src/evidence/x509/certificate.ts"
import {
  type CertificateRule,
  createKnowHolder,
  type DeviceAuthority,
  type ShownChain,
} from "../../src/server/certificates.ts"
import type { Principal } from "../../src/server/roles.ts"
import { throwsCode } from "../support/assert.ts"
import {
  ANY_EKU,
  type Authority,
  CLIENT_AUTH,
  CLIENT_KEYS,
  clientExtensions,
  type Holder,
  makeAuthority,
  makeClient,
  SERVER_AUTH,
  validity,
} from "../support/callers.ts"
import { crlOf, entry, type makeCrl } from "../support/crl.ts"
import { NONE_DENIED } from "../support/service.ts"
import {
  basicConstraints,
  caExtensions,
  cn,
  dns,
  email,
  extKeyUsage,
  integer,
  keyUsage,
  makeCertificate,
  p256Keys,
  subjectAltName,
  time,
  uri,
} from "../support/x509.ts"

const test = suite("createKnowHolder")
const AT = new Date("2026-11-21T12:00:00Z")
const GATEWAY = "spiffe://acme.example/gateway"

const edge = makeAuthority("Edge CA")
const issuing = makeAuthority("Edge Issuing CA", edge)
const office = makeAuthority("Office CA")
const own = makeAuthority("Device CA")
const DEVICE = "spiffe://assay.example/tenant/acme/device/pump-7"

const ruleOf = (authority: Authority, changed: Partial<CertificateRule> = {}): CertificateRule => ({
  name: "edge",
  authorities: [parseCertificate(authority.der)],
  crls: [],
  role: "gateway",
  tenant: "acme",
  id: { kind: "spiffe", ids: undefined },
  ...changed,
})
const EDGE = ruleOf(edge)
const OFFICE = ruleOf(office, {
  name: "office",
  role: "operator",
  tenant: "default",
  id: { kind: "dns", ids: ["alice.office.example", "bob.office.example"] },
})

const ownDer = [own.der]
const devices: DeviceAuthority = {
  certificates: () => ownDer,
  deviceOf: (text) => {
    const [, tenant, device] =
      /^spiffe:\/\/assay\.example\/tenant\/([a-z0-9-]+)\/device\/([a-z0-9-]+)$/.exec(text) ?? []
    return tenant === undefined || device === undefined ? undefined : { tenant, device }
  },
}

const knowing = (rules: readonly CertificateRule[], now = () => AT) =>
  createKnowHolder({ rules: () => rules, devices, denied: NONE_DENIED, now })
const know = knowing([EDGE, OFFICE])
const holderOf = (...chain: readonly Holder[]): Principal => know(chain.map(({ der }) => der))

/** A certificate of `authority` with any extensions. */
const certificate = (authority: Authority, extensions: readonly Uint8Array[]): Holder => ({
  der: makeCertificate(CLIENT_KEYS, authority.keys, cn("client"), authority.name, extensions),
  keys: CLIENT_KEYS,
})
const named = (authority: Authority, ...names: readonly Uint8Array[]): Holder =>
  certificate(authority, clientExtensions(names))

test("knows a gateway by its SPIFFE id, in the rule's tenant", () => {
  assert.equal(holderOf(makeClient(edge)), { tenant: "acme", id: `cert:edge:${GATEWAY}`, role: "gateway" })
})
test("knows it below a CA that came along", () => {
  assert.is(holderOf(makeClient(issuing), issuing).id, `cert:edge:${GATEWAY}`)
  assert.is(holderOf(makeClient(issuing), office, issuing, edge).id, `cert:edge:${GATEWAY}`)
})
test("knows an operator by the listed DNS name among several", () => {
  const alice = named(office, dns("laptop.office.example"), dns("alice.office.example"))
  assert.equal(holderOf(alice), {
    tenant: "default",
    id: "cert:office:alice.office.example",
    role: "operator",
  })
})
test("knows a caller by its certificate's digest", () => {
  const client = named(edge)
  const digest = hash("sha256", client.der, "hex")
  const rule = ruleOf(edge, { id: { kind: "sha256", ids: [digest] } })
  assert.is(knowing([rule])([client.der]).id, `cert:edge:${digest}`)
  throwsCode(() => knowing([rule])([makeClient(edge).der]), "CALLER_UNKNOWN")
})
test("knows a device by Assay's own CA, as itself and in its tenant", () => {
  assert.equal(holderOf(makeClient(own, DEVICE)), {
    tenant: "acme",
    id: "device:pump-7",
    role: "device",
    own: { kind: "device", id: "pump-7" },
  })
})

const unrelated = makeAuthority("Nobody's CA")
const impostor = makeAuthority("Edge CA")
const narrow = makeAuthority("Edge Server CA", edge, {
  extensions: [...caExtensions(), extKeyUsage(SERVER_AUTH)],
})
const selfSigned: Holder = {
  der: makeCertificate(CLIENT_KEYS, CLIENT_KEYS, edge.name, edge.name, clientExtensions([uri(GATEWAY)])),
  keys: CLIENT_KEYS,
}

const strangers: [name: string, chain: readonly Holder[]][] = [
  ["a certificate of a CA that nobody configured", [makeClient(unrelated)]],
  ["a certificate of such a CA that comes along", [makeClient(unrelated), unrelated]],
  ["a certificate of a CA with the same name", [makeClient(impostor)]],
  ["a certificate of a CA with the same name that comes along", [makeClient(impostor), impostor, edge]],
  ["a self-signed certificate with the CA's name and a caller's", [selfSigned]],
  ["a certificate whose issuing CA does not come along", [makeClient(issuing)]],
  [
    "a certificate that is over",
    [makeClient(edge, GATEWAY, { validity: validity("2020-01-01", "2026-11-21") })],
  ],
  [
    "a certificate that has not begun",
    [makeClient(edge, GATEWAY, { validity: validity("2026-11-22", "2030-01-01") })],
  ],
  ["a server's certificate", [certificate(edge, clientExtensions([uri(GATEWAY)], SERVER_AUTH))]],
  ["a certificate for any purpose", [certificate(edge, clientExtensions([uri(GATEWAY)], ANY_EKU))]],
  [
    "a certificate without purposes",
    [certificate(edge, [basicConstraints(false), keyUsage(0), subjectAltName([uri(GATEWAY)])])],
  ],
  [
    "a certificate whose key encrypts",
    [
      certificate(edge, [
        basicConstraints(false),
        keyUsage(2),
        extKeyUsage(CLIENT_AUTH),
        subjectAltName([uri(GATEWAY)]),
      ]),
    ],
  ],
  [
    "a certificate of a CA for servers alone",
    [certificate(narrow, clientExtensions([uri(GATEWAY)], CLIENT_AUTH, SERVER_AUTH)), narrow],
  ],
  ["the CA's own certificate", [edge]],
  [
    "a CA's certificate with a caller's name, whose key also signs",
    [
      certificate(edge, [
        basicConstraints(true),
        keyUsage(0, 5, 6),
        extKeyUsage(CLIENT_AUTH),
        subjectAltName([uri(GATEWAY)]),
      ]),
    ],
  ],
  [
    "a CA's certificate with a caller's name",
    [certificate(edge, [...caExtensions(), extKeyUsage(CLIENT_AUTH), subjectAltName([uri(GATEWAY)])])],
  ],
  [
    "a certificate that another caller's key issued",
    [makeClient({ ...makeClient(edge), name: cn("client") }), makeClient(edge)],
  ],
  [
    "a signature that is not the CA's",
    [makeClient(edge, GATEWAY, { signature: (tbs) => p256Keys().sign(tbs) })],
  ],
  ["an operator's name under the CA of gateways", [named(edge, dns("alice.office.example"))]],
  ["a gateway's id under the CA of operators", [makeClient(office)]],
  ["a device's id under the CA of operators", [makeClient(office, DEVICE)]],
  ["a gateway's id under Assay's own CA", [makeClient(own, GATEWAY)]],
  ["bytes that are no certificate", [{ ...edge, der: Uint8Array.of(0x30, 0x00) }]],
]
for (const [name, chain] of strangers)
  test(`refuses G-11 ${name}`, () => {
    throwsCode(() => holderOf(...chain), "CALLER_UNKNOWN")
  })

test("a CA of devices gives no role but a device's, though its ids are well made", () => {
  const rule = ruleOf(edge, { role: "operator" })
  const device = knowing([rule])([makeClient(edge, DEVICE).der])
  assert.equal([device.role, device.own], ["operator", undefined])
})

const malformed: [name: string, names: readonly Uint8Array[]][] = [
  ["no name", []],
  ["two SPIFFE ids", [uri(GATEWAY), uri("spiffe://acme.example/other")]],
  ["a SPIFFE id beside another URI", [uri(GATEWAY), uri("https://acme.example/")]],
  ["a DNS name in place of a SPIFFE id", [dns("acme.example")]],
  ["an address in place of a SPIFFE id", [email("gateway@acme.example")]],
  ["a URI of another scheme", [uri("https://acme.example/gateway")]],
  ["a scheme in capitals", [uri("SPIFFE://acme.example/gateway")]],
  ["a trust domain in capitals", [uri("spiffe://Acme.example/gateway")]],
  ["a trust domain alone", [uri("spiffe://acme.example")]],
  ["an empty path", [uri("spiffe://acme.example/")]],
  ["an empty segment", [uri("spiffe://acme.example//gateway")]],
  ["a segment of dots", [uri("spiffe://acme.example/a/../gateway")]],
  ["a last segment that is a dot", [uri("spiffe://acme.example/gateway/.")]],
  ["a slash at the end", [uri("spiffe://acme.example/gateway/")]],
  ["a query", [uri("spiffe://acme.example/gateway?x=1")]],
  ["a fragment", [uri("spiffe://acme.example/gateway#x")]],
  ["a port", [uri("spiffe://acme.example:443/gateway")]],
  ["a user", [uri("spiffe://root@acme.example/gateway")]],
  ["percent signs", [uri("spiffe://acme.example/gate%77ay")]],
  ["a line feed", [uri("spiffe://acme.example/gateway\nrole=operator")]],
  ["a terminal's escape", [uri("spiffe://acme.example/\u001b[2Jgateway")]],
  ["a NUL", [uri("spiffe://acme.example/gateway\0.example")]],
  ["a Cyrillic letter", [uri("spiffe://acme.example/g\u0430teway")]],
  ["a long id", [uri(`spiffe://acme.example/${"a".repeat(500)}`)]],
  ["an id of 200 KB", [uri(`spiffe://acme.example/${"a".repeat(200_000)}`)]],
]
for (const [name, names] of malformed)
  test(`refuses G-12 a client certificate with ${name}`, () => {
    throwsCode(() => holderOf(named(edge, ...names)), "CALLER_UNKNOWN")
  })

const ANY_DNS = knowing([ruleOf(edge, { id: { kind: "dns", ids: undefined } })])
const dnsNames: [name: string, names: readonly Uint8Array[]][] = [
  ["a wildcard", [dns("*.acme.example")]],
  ["capitals", [dns("Gateway.acme.example")]],
  ["a dot at its end", [dns("gateway.acme.example.")]],
  ["an empty label", [dns("gateway..example")]],
  ["a line feed", [dns("gateway\n.acme.example")]],
  ["a path", [dns("../gateway")]],
  ["a NUL", [dns("gateway.acme.example\0.evil.example")]],
  ["254 characters", [dns(`${"a.".repeat(126)}aa`)]],
  ["a second name beside it", [dns("a.acme.example"), dns("b.acme.example")]],
]
for (const [name, names] of dnsNames)
  test(`refuses G-12 a DNS name for an id with ${name}`, () => {
    throwsCode(() => ANY_DNS([named(edge, ...names).der]), "CALLER_UNKNOWN")
  })
test("refuses G-12 two listed DNS names in one certificate", () => {
  const both = named(office, dns("alice.office.example"), dns("bob.office.example"))
  throwsCode(() => holderOf(both), "CALLER_UNKNOWN")
})

test("refuses G-11 a certificate that two rules take for a caller", () => {
  const both = knowing([EDGE, ruleOf(edge, { name: "twin", role: "operator" })])
  throwsCode(() => both([makeClient(edge).der]), "CALLER_UNKNOWN")
})
test("tells callers of one CA apart by listed ids", () => {
  const rules = [
    ruleOf(edge, { id: { kind: "spiffe", ids: [GATEWAY] } }),
    ruleOf(edge, {
      name: "ops",
      role: "operator",
      id: { kind: "spiffe", ids: ["spiffe://acme.example/ops"] },
    }),
  ]
  const one = knowing(rules)
  assert.is(one([makeClient(edge).der]).role, "gateway")
  assert.is(one([makeClient(edge, "spiffe://acme.example/ops").der]).role, "operator")
  throwsCode(() => one([makeClient(edge, "spiffe://acme.example/else").der]), "CALLER_UNKNOWN")
})

const client = makeClient(edge, GATEWAY, { serialNumber: integer(0x4711) })
const CURRENT = { thisUpdate: time(new Date("2026-11-01")), nextUpdate: time(new Date("2026-12-01")) }
const withCrl = (changed: Parameters<typeof makeCrl>[1]) =>
  knowing([ruleOf(edge, { crls: [crlOf(edge, changed)] })])
test("knows a holder whose certificate a current CRL does not list", () => {
  assert.is(withCrl({ ...CURRENT, entries: [entry("4712")] })([client.der]).role, "gateway")
})
const lists: [name: string, changed: Parameters<typeof makeCrl>[1]][] = [
  ["that lists it", { ...CURRENT, entries: [entry("4711")] }],
  ["that is over", {}],
  ["of another key", { ...CURRENT, signer: p256Keys() }],
  ["of another CA", { ...CURRENT, issuer: office.name }],
]
for (const [name, changed] of lists)
  test(`refuses G-11 a certificate by a CRL ${name}`, () => {
    throwsCode(() => withCrl(changed)([client.der]), "CALLER_UNKNOWN")
  })

test("remembers who was verified, until the path ends or the rules change", () => {
  let at = AT
  let rules = [EDGE]
  const short = makeClient(edge, GATEWAY, { validity: validity("2020-01-01", "2026-11-21T13:00:00Z") })
  const again = createKnowHolder({
    rules: () => rules,
    devices: undefined,
    denied: NONE_DENIED,
    now: () => at,
  })
  const first = again([short.der])
  assert.is(again([short.der]), first, "the same object: nothing was verified anew")
  at = new Date("2026-11-21T13:00:01Z")
  throwsCode(() => again([short.der]), "CALLER_UNKNOWN")
  at = AT
  rules = [ruleOf(office)]
  throwsCode(() => again([short.der]), "CALLER_UNKNOWN")
  rules = [ruleOf(edge, { role: "backend" })]
  at = new Date(AT.getTime() + 2000)
  assert.is(again([short.der]).role, "backend")
})
test("remembers a refusal for a second alone, and by the whole chain", () => {
  let at = AT
  const again = createKnowHolder({
    rules: () => [EDGE],
    devices: undefined,
    denied: NONE_DENIED,
    now: () => at,
  })
  const late = makeClient(edge, GATEWAY, { validity: validity("2026-11-21T12:00:01Z", "2030-01-01") })
  const error = throwsCode(() => again([late.der]), "CALLER_UNKNOWN")
  assert.is(
    throwsCode(() => again([late.der]), "CALLER_UNKNOWN"),
    error,
  )
  at = new Date(AT.getTime() + 1001)
  assert.is(again([late.der]).role, "gateway")
  const below = makeClient(issuing)
  throwsCode(() => again([below.der]), "CALLER_UNKNOWN")
  assert.is(again([below.der, issuing.der]).role, "gateway", "a chain that is whole is another one")
})
test("says which certificate, and why, and nothing of others' names", () => {
  const chain: ShownChain = [makeClient(unrelated).der]
  const { location, actual } = throwsCode(() => know(chain), "CALLER_UNKNOWN")
  assert.is(location, "CN=client")
  assert.match(actual ?? "", /^UNTRUSTED_ROOT: /)
})
test.run()
