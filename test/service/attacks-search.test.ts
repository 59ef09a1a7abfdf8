/** and U5 against the whole service: chains that cost, chains that mislead, and chains after good ones. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import { type Attack, refuses, spent } from "../support/attack.ts"
import { type Authority, authority } from "../support/crl.ts"
import {
  akChainOf,
  caOf,
  chainTable,
  INTERMEDIATE,
  leafOf,
  limitSpent,
  type MakeChain,
  ROOT,
  showingChain,
  TPM_ATTRIBUTES,
  trustingScene,
} from "../support/endorsed.ts"
import { attemptOn } from "../support/scene.ts"
import { GATEWAY } from "../support/service.ts"
import { P256, P384, RSAPSS, RSASSA } from "../support/victim.ts"
import {
  AK_EXTENSIONS,
  authorityKeyId,
  caExtensions,
  cn,
  directoryName,
  dns,
  ecKeys,
  type Keys,
  makeChain,
  name,
  nameConstraints,
  seq,
  subjectAltName,
  subjectKeyId,
  withExtensions,
} from "../support/x509.ts"

const test = suite("attacks on the search for a path")
const scene = trustingScene(test, () => {})

const some = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i))
const A = authority("CA A")
const B = authority("CA B")
const CROWD: readonly Authority[] = some(8, (i) => authority(`CA ${i}`))
const [FIRST = A] = CROWD
const SAME_NAME: readonly Authority[] = some(100, () => ({ ...A, keys: B.keys }))
const P521: readonly Keys[] = some(7, () => ecKeys("P-521"))
const STRANGER = authority("Stranger")
const TPM_NAME = directoryName(name(TPM_ATTRIBUTES))
/** CAs one below the other, the lowest first, under the trust anchor of every test. */
const row = (cas: readonly Authority[]): Uint8Array[] => cas.map((who, i) => caOf(who, cas[i + 1] ?? ROOT))

chainTable(
  test,
  "X-17",
  limitSpent("PATH"),
  [
    [
      "100 CAs of one name, none of which signed",
      P256,
      (device) => [leafOf(device, A), ...SAME_NAME.map((who) => caOf(who, ROOT))],
    ],
    [
      "CAs that all signed each other",
      RSASSA,
      (device) => [
        leafOf(device, FIRST),
        ...CROWD.flatMap((who) => CROWD.filter((other) => other !== who).map((by) => caOf(who, by))),
      ],
    ],
    [
      "more CAs in a row than any path has",
      P384,
      (device) => [leafOf(device, CROWD[0] ?? A), ...row(some(12, (i) => CROWD[i] ?? authority(`CA ${i}`)))],
    ],
    [
      "one key under 1,000 names, each signed by the next",
      RSAPSS,
      (device) => {
        const names = some(1000, (i): Authority => ({ name: cn(`Name ${i}`), keys: A.keys }))
        return [leafOf(device, names[0] ?? A), ...names.map((who, i) => caOf(who, names[i + 1] ?? STRANGER))]
      },
    ],
    [
      "keys on the dearest curve under one name, each signed by all",
      P256,
      (device) => {
        const cas = P521.map((keys): Authority => ({ name: A.name, keys }))
        return [
          leafOf(device, cas[0] ?? A),
          ...cas.map((who, i) => caOf(who, cas[(i + 1) % cas.length] ?? A)),
        ]
      },
    ],
    [
      "thousands of names under thousands of constraints",
      RSASSA,
      (device) => [
        leafOf(device, A, {
          extensions: withExtensions(
            AK_EXTENSIONS,
            subjectAltName([TPM_NAME, ...some(1000, (i) => dns(`${i}.example`))]),
          ),
        }),
        caOf(A, ROOT, [
          ...caExtensions(),
          nameConstraints(
            [],
            some(1000, (i) => dns(`no${i}.example`)),
          ),
        ]),
      ],
    ],
  ],
  scene,
)

const ID = Uint8Array.of(1, 2, 3, 4)
const EMPTY = new Uint8Array()
const issuing = (...more: readonly Uint8Array[]): Uint8Array =>
  caOf(INTERMEDIATE, ROOT, [...caExtensions(0), ...more])
/** Of the intermediate's name and another key. */
const decoy = (...more: readonly Uint8Array[]): Uint8Array =>
  caOf({ ...INTERMEDIATE, keys: A.keys }, ROOT, [...caExtensions(0), ...more])
const naming =
  (id: Uint8Array): MakeChain =>
  (device) => [leafOf(device, INTERMEDIATE, { extensions: [...AK_EXTENSIONS, authorityKeyId(id)] })]
const with_ =
  (leaf: MakeChain, ...others: readonly Uint8Array[]): MakeChain =>
  (device, now) => [...leaf(device, now), ...others]
const forged =
  (keys: Keys): MakeChain =>
  (device) =>
    akChainOf(device, { leaf: { signer: keys } })
chainTable(
  test,
  "X-18",
  "CHAIN",
  [
    ["an issuer by an empty key identifier", P256, with_(naming(EMPTY), decoy(subjectKeyId(EMPTY)))],
    ["an issuer by the key identifier of another", RSASSA, with_(naming(ID), decoy(subjectKeyId(ID)))],
    ["an issuer by its name alone", P384, with_(naming(Uint8Array.of(9)), decoy())],
    [
      "several issuers by name, none of which signed",
      RSAPSS,
      with_(naming(ID), decoy(subjectKeyId(ID)), decoy(), decoy(subjectKeyId(EMPTY))),
    ],
    [
      "the trust anchor by its name, which did not sign",
      P256,
      (device) => [leafOf(device, { ...ROOT, keys: A.keys })],
    ],
    [
      "the trust anchor itself among what is shown, which did not sign",
      RSASSA,
      (device) => [leafOf(device, { ...ROOT, keys: A.keys }), makeChain("ak").root],
    ],
    [
      "an issuer that signed with another of its keys",
      P384,
      (device) => [...akChainOf(device, { leaf: { signer: B.keys } }), issuing(subjectKeyId(ID))],
    ],
  ],
  scene,
)

chainTable(
  test,
  "X-19",
  "CHAIN",
  [
    ["a leaf that nobody signed below an intermediate that holds", P256, forged(A.keys)],
    [
      "an intermediate that nobody signed above a leaf that holds",
      RSASSA,
      (device) => akChainOf(device, { intermediate: { signer: A.keys } }),
    ],
    [
      "a leaf with the signature of another by the same issuer",
      P384,
      (device) => akChainOf(device, { leaf: { signature: () => INTERMEDIATE.keys.sign(EMPTY) } }),
    ],
    [
      "a leaf with an empty signature",
      RSAPSS,
      (device) => akChainOf(device, { leaf: { signature: () => EMPTY } }),
    ],
    [
      "a leaf with a signature of zeros",
      P256,
      (device) =>
        akChainOf(device, { leaf: { signature: () => seq(Uint8Array.of(2, 1, 0), Uint8Array.of(2, 1, 0)) } }),
    ],
    [
      "a leaf that is changed after it was signed",
      P384,
      (device) => {
        const [der = EMPTY, ...others] = akChainOf(device)
        const at = Buffer.from(der).indexOf("SLB 9670")
        return [der.with(at + 7, 0x35), ...others]
      },
    ],
  ],
  scene,
)

for (const victim of [P256, RSASSA, P384])
  test(`refuses X-19 a bad chain after a good one of the same device, and the good one holds again, ${victim.label}`, async () => {
    const made = await scene()
    const good: Attack["forge"] = showingChain((device) => akChainOf(device))
    for (let round = 0; round < 2; round++) {
      const attempt = await attemptOn(made, victim)
      const { vector, tier } = await made.world.service.verify(await good(attempt), GATEWAY)
      assert.is(vector["instance-identity"], 2)
      assert.is(tier, "affirming")
      const forge = showingChain(forged(A.keys))
      await refuses(made, { name: "", of: victim, forge, refusal: spent("CHAIN") })
    }
  })

test.run()
