import { suite } from "uvu"
import * as assert from "uvu/assert"
import { parseCertificate } from "../../src/evidence/x509/certificate.ts"
import { isGoogleAk } from "../../src/verification/purpose.ts"
import { type Case, caseOf, INTERMEDIATE, LEAF, ROOT, refusesEach, verifyCase } from "../support/chain.ts"
import {
  AK_EXTENSIONS,
  basicConstraints,
  type CertificateParts,
  type ChainChanges,
  caExtensions,
  EK_EXTENSIONS,
  EKU_AK,
  EKU_EK,
  extension,
  extKeyUsage,
  keyUsage,
  makeChain,
  name,
  rsaKeys,
  seq,
  withExtensions,
  withoutExtensions,
} from "../support/x509.ts"

const ANY_EKU = "2.5.29.37.0"
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
const EKU = "2.5.29.37"
const KEY_USAGE = "2.5.29.15"
const NO_PURPOSES = extension(EKU, seq())

type KeyPurpose = "ak" | "ek"
const OF = { ak: AK_EXTENSIONS, ek: EK_EXTENSIONS } as const
const OWN = { ak: EKU_AK, ek: EKU_EK } as const
const OTHER = { ak: EKU_EK, ek: EKU_AK } as const

const chainOf = (purpose: KeyPurpose, changes: ChainChanges, asked: KeyPurpose | "any" = purpose): Case =>
  caseOf(makeChain(purpose, changes), { purpose: asked })
/** The leaf with extensions in the place of its own. */
const leafWith = (purpose: KeyPurpose, ...changed: readonly Uint8Array[]): ChainChanges => ({
  leaf: { extensions: withExtensions(OF[purpose], ...changed) },
})
const leafWithout = (purpose: KeyPurpose, id: string): ChainChanges => ({
  leaf: { extensions: withoutExtensions(OF[purpose], id) },
})
const caWith = (...added: readonly Uint8Array[]): Partial<CertificateParts> => ({
  extensions: [...caExtensions(), ...added],
})

const purposes = suite("checkPurpose")

for (const purpose of ["ak", "ek"] as const)
  refusesEach(purposes, [
    [
      `X-05 an ${purpose} with an empty list of purposes`,
      () => chainOf(purpose, leafWith(purpose, NO_PURPOSES)),
      "EKU",
      LEAF,
    ],
    [
      `X-05 an ${purpose} with an empty list of purposes, for no purpose`,
      () => chainOf(purpose, leafWith(purpose, NO_PURPOSES), "any"),
      "EKU",
      LEAF,
    ],
    [
      `X-05 an ${purpose} for any purpose and no other`,
      () => chainOf(purpose, leafWith(purpose, extKeyUsage(ANY_EKU))),
      "EKU",
      LEAF,
    ],
    [
      `X-05 an ${purpose} with the other's purpose`,
      () => chainOf(purpose, leafWith(purpose, extKeyUsage(OTHER[purpose]))),
      "EKU",
      LEAF,
    ],
    [
      `X-05 an ${purpose} with the other's purpose beside its own`,
      () => chainOf(purpose, leafWith(purpose, extKeyUsage(OTHER[purpose], OWN[purpose]))),
      "EKU",
      LEAF,
    ],
    [
      `X-05 an ${purpose} with a web server's purpose`,
      () => chainOf(purpose, leafWith(purpose, extKeyUsage(SERVER_AUTH, ANY_EKU))),
      "EKU",
      LEAF,
    ],
    [
      `X-05 an ${purpose} with a purpose that begins like its own`,
      () => chainOf(purpose, leafWith(purpose, extKeyUsage(`${OWN[purpose]}.1`, `${OWN[purpose]}0`))),
      "EKU",
      LEAF,
    ],
  ])

refusesEach(purposes, [
  ["X-05 an ak without purposes", () => chainOf("ak", leafWithout("ak", EKU)), "EKU", LEAF],
  [
    "X-05 an ak with the purpose of an ek, of another issuer than Google",
    () => chainOf("ak", leafWith("ak", extKeyUsage(EKU_EK))),
    "EKU",
    LEAF,
  ],
  ["an ak that only encrypts", () => chainOf("ak", leafWith("ak", keyUsage(2))), "KEY_USAGE", LEAF],
  ["an ak whose key may do nothing", () => chainOf("ak", leafWith("ak", keyUsage(8))), "KEY_USAGE", LEAF],
  [
    "an ek on a curve that only encrypts",
    () => chainOf("ek", leafWith("ek", keyUsage(2))),
    "KEY_USAGE",
    LEAF,
  ],
  ["an ek that only signs", () => chainOf("ek", leafWith("ek", keyUsage(0))), "KEY_USAGE", LEAF],
  ["an ak as an ek", () => chainOf("ak", {}, "ek"), "KEY_USAGE", LEAF],
  ["an ek as an ak", () => chainOf("ek", {}, "ak"), "KEY_USAGE", LEAF],
  [
    "X-02 a CA as an ak",
    () => chainOf("ak", leafWith("ak", basicConstraints(true), keyUsage(0, 5))),
    "KEY_USAGE",
    LEAF,
  ],
  [
    "X-02 a CA as an ek",
    () => chainOf("ek", leafWith("ek", basicConstraints(true), keyUsage(4))),
    "KEY_USAGE",
    LEAF,
  ],
])

const RSA = rsaKeys()
refusesEach(purposes, [
  [
    "an RSA ek that only agrees on keys",
    () => chainOf("ek", { ...leafWith("ek", keyUsage(4)), leafKeys: RSA }),
    "KEY_USAGE",
    LEAF,
  ],
])

const acceptable: readonly [name: string, of: () => Case][] = [
  ["an RSA ek that encrypts keys", () => chainOf("ek", { ...leafWith("ek", keyUsage(2)), leafKeys: RSA })],
  ["an ek without purposes", () => chainOf("ek", leafWithout("ek", EKU))],
  ["an ek whose key usage says nothing", () => chainOf("ek", leafWithout("ek", KEY_USAGE))],
  ["an ak whose key usage says nothing", () => chainOf("ak", leafWithout("ak", KEY_USAGE))],
  ["an ak without basicConstraints", () => chainOf("ak", leafWithout("ak", "2.5.29.19"))],
  [
    "an ak with its purpose among others",
    () => chainOf("ak", leafWith("ak", extKeyUsage(SERVER_AUTH, EKU_AK))),
  ],
  ["an ek with its purpose among others", () => chainOf("ek", leafWith("ek", extKeyUsage(ANY_EKU, EKU_EK)))],
  ["for no purpose a leaf without purposes", () => chainOf("ak", leafWithout("ak", EKU), "any")],
  [
    "for no purpose a leaf with another's",
    () => chainOf("ak", leafWith("ak", extKeyUsage(SERVER_AUTH)), "any"),
  ],
]
for (const [what, of] of acceptable) purposes(`accepts ${what}`, () => void verifyCase(of()))

/** As Google issues AKs of its virtual machines: the EK's purpose, and digitalSignature alone. */
const google = (
  organization: string,
  extensions: readonly Uint8Array[] = withExtensions(AK_EXTENSIONS, extKeyUsage(EKU_EK), keyUsage(0)),
  ca: readonly Uint8Array[] = [],
): Case => {
  const issuer = name({ "2.5.4.10": organization, "2.5.4.3": "EK/AK CA Intermediate" })
  const changes = {
    intermediate: { subject: issuer, extensions: [...caExtensions(0), ...ca] },
    leaf: { issuer, extensions },
  }
  return chainOf("ak", changes)
}
purposes("accepts Google's aks under the purpose of an ek, and knows them", () => {
  const made = google("Google LLC")
  assert.equal(verifyCase(made).deviations, ["ek-purpose"], "and says so")
  const leaf = parseCertificate(made.leaf)
  assert.is(isGoogleAk(leaf, "ak"), true)
  assert.is(isGoogleAk(leaf, "ek"), false)
  verifyCase(google("Google LLC", undefined, [extKeyUsage(EKU_EK)]))
})
refusesEach(purposes, [
  ["X-05 an ak like Google's of another issuer", () => google("Google LLC."), "EKU", LEAF],
  [
    "X-05 an ak like Google's that encrypts too",
    () => google("Google LLC", withExtensions(AK_EXTENSIONS, extKeyUsage(EKU_EK), keyUsage(0, 2))),
    "EKU",
    LEAF,
  ],
  [
    "X-05 an ak like Google's without the purpose of an ek",
    () => google("Google LLC", withExtensions(AK_EXTENSIONS, extKeyUsage(SERVER_AUTH), keyUsage(0))),
    "EKU",
    LEAF,
  ],
  [
    "X-05 an ak like Google's below a CA that is for aks alone",
    () => google("Google LLC", undefined, [extKeyUsage(EKU_AK)]),
    "EKU",
    "O=Google LLC",
  ],
])

purposes.run()

const nested = suite("checkNestedPurpose")

for (const place of ["intermediate", "root"] as const) {
  const about = place === "root" ? ROOT : INTERMEDIATE
  for (const purpose of ["ak", "ek"] as const)
    refusesEach(nested, [
      [
        `X-05 an ${purpose} below a CA for the other: the ${place}`,
        () => chainOf(purpose, { [place]: caWith(extKeyUsage(OTHER[purpose])) }),
        "EKU",
        about,
      ],
      [
        `X-05 an ${purpose} below a CA for web servers: the ${place}`,
        () => chainOf(purpose, { [place]: caWith(extKeyUsage(SERVER_AUTH)) }),
        "EKU",
        about,
      ],
      [
        `X-05 an ${purpose} below a CA with an empty list of purposes: the ${place}`,
        () => chainOf(purpose, { [place]: caWith(NO_PURPOSES) }),
        "EKU",
        about,
      ],
    ])
  refusesEach(nested, [
    [
      `X-05 for no purpose a leaf below a CA with none of its purposes: the ${place}`,
      () => chainOf("ak", { [place]: caWith(extKeyUsage(SERVER_AUTH)) }, "any"),
      "EKU",
      about,
    ],
    [
      `X-05 for no purpose a leaf below a CA with an empty list of purposes: the ${place}`,
      () => chainOf("ak", { ...leafWithout("ak", EKU), [place]: caWith(NO_PURPOSES) }, "any"),
      "EKU",
      about,
    ],
    [
      `X-05 an ek without purposes below a CA for aks: the ${place}`,
      () => chainOf("ek", { ...leafWithout("ek", EKU), [place]: caWith(extKeyUsage(EKU_AK)) }),
      "EKU",
      about,
    ],
  ])
  nested(`accepts what a CA's purposes leave room for: the ${place}`, () => {
    verifyCase(chainOf("ak", { [place]: caWith(extKeyUsage(EKU_AK)) }))
    verifyCase(chainOf("ek", { [place]: caWith(extKeyUsage(SERVER_AUTH, EKU_EK)) }))
    verifyCase(chainOf("ak", { [place]: caWith(extKeyUsage(ANY_EKU)) }))
    verifyCase(
      chainOf(
        "ak",
        { ...leafWith("ak", extKeyUsage(SERVER_AUTH, EKU_AK)), [place]: caWith(extKeyUsage(EKU_AK)) },
        "any",
      ),
    )
    verifyCase(chainOf("ak", { ...leafWithout("ak", EKU), [place]: caWith(extKeyUsage(SERVER_AUTH)) }, "any"))
  })
}

refusesEach(nested, [
  [
    "X-05 what the intermediate leaves room for and the root does not",
    () => chainOf("ak", { intermediate: caWith(extKeyUsage(EKU_AK)), root: caWith(extKeyUsage(EKU_EK)) }),
    "EKU",
    ROOT,
  ],
  [
    "X-05 what the root leaves room for and the intermediate does not",
    () => chainOf("ak", { intermediate: caWith(extKeyUsage(EKU_EK)), root: caWith(extKeyUsage(EKU_AK)) }),
    "EKU",
    INTERMEDIATE,
  ],
])

nested.run()
