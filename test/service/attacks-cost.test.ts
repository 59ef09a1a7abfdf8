/** X-17 and U5 against the whole service: chains as large as the wire lets through. */
import { suite } from "uvu"
import * as assert from "uvu/assert"
import type { Code } from "../../src/errors.ts"
import { authority, nested, unknownExtension } from "../support/crl.ts"
import { caOf, leafOf, type MakeChain, showingChain, trustingScene } from "../support/endorsed.ts"
import { attemptOn } from "../support/scene.ts"
import { codesOf, GATEWAY } from "../support/service.ts"
import { P256 } from "../support/victim.ts"
import {
  AK_EXTENSIONS,
  caExtensions,
  dns,
  ecKeys,
  extension,
  integer,
  type Keys,
  NULL,
  nameConstraints,
  p256Keys,
  rsaSpki,
  subjectAltName,
} from "../support/x509.ts"

const test = suite("attacks by cost")
const scene = trustingScene(test, () => {}, [P256])

const some = <T>(count: number, make: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => make(i))
const A = authority("CA A")
const P521: readonly Keys[] = some(7, () => ecKeys("P-521"))

const CERTIFICATES_MAX = 8
const BYTES_MAX = 16_384
const LIMIT_MS = 20
/** An extension that fills a certificate up to the wire's limit. */
const filled = (extensions: readonly Uint8Array[]): readonly Uint8Array[] => [
  ...extensions,
  unknownExtension(false, new Uint8Array(BYTES_MAX - 1900)),
]
/** A leaf with seven CAs of one name over it, with keys of their own. */
const crowd =
  (spkis: readonly Uint8Array[], extensions: (i: number) => readonly Uint8Array[]): MakeChain =>
  (device) => [
    leafOf(device, A, { extensions: filled(AK_EXTENSIONS) }),
    ...spkis.map((spki, i) => caOf(A, A, extensions(i), { spki })),
  ]
const p256 = some(7, () => p256Keys().spki)
const oddNumber = (size: number, fill: number): Uint8Array =>
  integer(BigInt(`0x${Buffer.alloc(size, fill).toString("hex")}`) | 1n)
const dearest: readonly (readonly [name: string, chain: MakeChain, code: Code])[] = [
  ["of zeros", () => some(CERTIFICATES_MAX, () => new Uint8Array(BYTES_MAX)), "DER"],
  ["of nothing but sequences", () => some(CERTIFICATES_MAX, () => nested(4_000)), "DEPTH"],
  [
    "of CAs on P-521",
    crowd(
      P521.map(({ spki }) => spki),
      () => filled(caExtensions()),
    ),
    "PATH",
  ],
  [
    "of CAs with keys of 8192 bits and the dearest exponent",
    crowd(
      some(7, (i) => rsaSpki(oddNumber(1024, 0xc1 + i), integer(0xffff_ffff))),
      () => filled(caExtensions()),
    ),
    "CHAIN",
  ],
  [
    "of CAs with hundreds of names",
    crowd(p256, () => [...caExtensions(), subjectAltName(some(1000, (i) => dns(`${i}.example`)))]),
    "CHAIN",
  ],
  [
    "of CAs with hundreds of extensions",
    crowd(p256, () => [...caExtensions(), ...some(900, (i) => extension(`1.2.3.${i}`, NULL))]),
    "CERTIFICATE",
  ],
  [
    "of CAs with hundreds of constraints",
    crowd(p256, () => [...caExtensions(), nameConstraints(some(900, (i) => dns(`${i}.ex`)))]),
    "CHAIN",
  ],
]
for (const [name, chain, code] of dearest)
  test(`refuses X-17 a chain as large as the wire allows ${name}, within ${LIMIT_MS} ms of CPU time`, async () => {
    const made = await scene()
    const shown = chain(P256.device, made.world.now())
    assert.is(shown.length, CERTIFICATES_MAX)
    assert.ok(
      shown.every(({ length }) => length <= BYTES_MAX),
      String(shown.map(({ length }) => length)),
    )
    let least = Number.POSITIVE_INFINITY
    for (let round = 0; round < 10; round++) {
      const input = await showingChain(() => shown)(await attemptOn(made, P256))
      const start = process.cpuUsage()
      const [outcome] = await Promise.allSettled([made.world.service.verify(input, GATEWAY)])
      const { user, system } = process.cpuUsage(start)
      least = Math.min(least, (user + system) / 1000)
      if (outcome.status === "fulfilled") assert.is(codesOf(outcome.value)[0], code)
      else assert.is(outcome.reason.code, code)
    }
    assert.ok(least < LIMIT_MS, `${least} ms`)
  })
test.run()
