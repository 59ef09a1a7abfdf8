/** X-20 against the whole service: certificates that were revoked, and revocation that nobody can tell. */

import { createServer } from "node:http"
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type Attack, attackTests } from "../support/attack.ts"
import {
  type Authority,
  authority,
  type CrlParts,
  crlNumber,
  DELTA,
  entry,
  flag,
  makeCrl,
  rawInteger,
  reasonCode,
  scope,
} from "../support/crl.ts"
import {
  caOf,
  chainTable,
  idOf,
  leafOf,
  type MakeChain,
  showingChain,
  trustingScene,
  unavailable,
} from "../support/endorsed.ts"
import { newAct } from "../support/ports/samples.ts"
import { START } from "../support/service.ts"
import { P256, P384, RSAPSS, RSASSA } from "../support/victim.ts"
import {
  AK_EXTENSIONS,
  basicConstraints,
  caExtensions,
  distributionPoint,
  keyUsage,
  oid,
  p256Keys,
  seq,
  signingBy,
  time,
} from "../support/x509.ts"

const test = suite("attacks by revoked certificates")

const DAY = 86_400_000
const at = (ms: number): Uint8Array => time(new Date(START.getTime() + ms))
const LEAF = "4711"
const CA = "0815"

/** What a maker publishes: nothing, if it is left out. */
interface Published {
  /** By the root, of its intermediates. */
  readonly root?: Partial<CrlParts>
  /** By the intermediate, of attestation keys; one list or several. */
  readonly ca?: readonly Partial<CrlParts>[]
  readonly mode?: "require" | "when-published"
  readonly caExtensions?: readonly Uint8Array[]
  readonly leafExtensions?: readonly Uint8Array[]
}

const current = { thisUpdate: at(-DAY), nextUpdate: at(DAY) }
const anchors: { certificate: Uint8Array; revocation: "require" | "when-published" }[] = []
const crls: Uint8Array[] = []

/** A chain of a maker of its own, whose root the service trusts with its lists. */
const madeBy = ({ root: rootList, ca: caLists = [], mode = "require", ...more }: Published): MakeChain => {
  const root = authority(`Root ${anchors.length}`)
  const ca = authority(`CA of root ${anchors.length}`)
  anchors.push({ certificate: caOf(root, root), revocation: mode })
  if (rootList !== undefined) crls.push(makeCrl(root, { ...current, ...rootList }))
  for (const list of caLists) crls.push(makeCrl(ca, { ...current, ...list }))
  const intermediate = caOf(ca, root, more.caExtensions ?? caExtensions(0), { serialNumber: rawInteger(CA) })
  return (device) => [
    leafOf(device, ca, {
      serialNumber: rawInteger(LEAF),
      extensions: more.leafExtensions ?? AK_EXTENSIONS,
    }),
    intermediate,
  ]
}
/** As `madeBy`, with lists that would do but for the intermediate's. */
const withList = (list: Partial<CrlParts>, more: Published = {}): MakeChain =>
  madeBy({ root: {}, ca: [list], ...more })

const revokedLeaf = { entries: [entry(LEAF)] }
const published = distributionPoint("http://crl.example/ca.crl")
const SHA1 = seq(oid("1.2.840.10045.4.1"))
const stranger: Authority = authority("Stranger")

const refuted: readonly (readonly [name: string, of: typeof P256, chain: MakeChain])[] = [
  ["an attestation key that was revoked", P256, withList(revokedLeaf)],
  ["an intermediate that was revoked", RSASSA, madeBy({ root: { entries: [entry(CA)] }, ca: [{}] })],
  [
    "a key that was revoked where lists are looked at if there are any",
    P384,
    withList(revokedLeaf, { mode: "when-published" }),
  ],
  ["a key that is on hold", RSAPSS, withList({ entries: [entry(LEAF, reasonCode(6))] })],
  [
    "a key that one of two lists names",
    P256,
    madeBy({ root: {}, ca: [{ thisUpdate: at(-1000) }, revokedLeaf] }),
  ],
  ["a key among others", RSASSA, withList({ entries: [entry("01"), entry(LEAF), entry("4712")] })],
]
const unsure: readonly (readonly [name: string, of: typeof P256, chain: MakeChain])[] = [
  ["no list at all", P256, madeBy({})],
  ["only the list of the root", RSASSA, madeBy({ root: {} })],
  ["only the list of the intermediate", P384, madeBy({ ca: [{}] })],
  ["a list that has ended", RSAPSS, withList({ nextUpdate: at(-1000) })],
  ["a list that begins tomorrow", P256, withList({ thisUpdate: at(DAY / 2) })],
  ["a list without an end", RSASSA, withList({ nextUpdate: undefined })],
  ["a list by another key", P384, withList({ signer: p256Keys() })],
  ["a list of another issuer", RSAPSS, withList({ issuer: stranger.name, signer: stranger.keys })],
  ["a list by SHA-1", P256, madeBy({ root: {}, ca: [{ signer: signingBy(p256Keys(), SHA1, "sha1") }] })],
  ["a list with a critical number", RSASSA, withList({ extensions: [crlNumber("01", true)] })],
  ["a list without a number", P384, withList({ extensions: undefined })],
  ["a delta list", RSAPSS, withList({ extensions: [crlNumber("01"), DELTA] })],
  ["an indirect list", P256, withList({ extensions: [crlNumber("01"), scope(flag(0x84))] })],
  ["a list of CAs only", RSASSA, withList({ extensions: [crlNumber("01"), scope(flag(0x82))] })],
  [
    "a list by a CA that may not sign any",
    P384,
    withList({}, { caExtensions: [basicConstraints(true, 0), keyUsage(5)] }),
  ],
  [
    "nothing of what the certificate says is published",
    RSAPSS,
    madeBy({ mode: "when-published", leafExtensions: [...AK_EXTENSIONS, published] }),
  ],
]

// Whatever a certificate names is asked by nobody while a call waits: here somebody would notice.
let asked = 0
const server = createServer((_, response) => {
  asked += 1
  response.end()
})
await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
server.unref()
const address = server.address()
const port = typeof address === "object" ? (address?.port ?? 0) : 0
const named = madeBy({
  leafExtensions: [...AK_EXTENSIONS, distributionPoint(`http://127.0.0.1:${port}/ca.crl`)],
})

const scene = trustingScene(test, async ({ trust, trustAnchor, now }) => {
  for (const { certificate, revocation } of anchors) trustAnchor(certificate, { revocation })
  const lists = crls.map((crl, i) => ({ source: `import:${i}`, id: idOf(crl), crl }))
  await trust.importTrust(
    "default",
    { anchors: [], intermediates: [], crls: lists, eks: [] },
    newAct("import-trust", { at: now() }),
  )
})

chainTable(test, "X-20", "REVOKED", refuted, scene)
const untold = unavailable("REVOCATION", "spent")
chainTable(
  test,
  "X-20",
  untold,
  unsure.map(([name, of, chain]) => [`to guess with ${name}`, of, chain]),
  scene,
)

const network: Attack = {
  name: "X-20 to ask the network while a call waits",
  of: P256,
  forge: showingChain(named),
  refusal: untold,
}
attackTests(test, [network], scene)
test("refuses X-20 all of these without having asked anybody", () => assert.is(asked, 0))
test.after(() => void server.close())

test.run()
