import { z } from "zod"
import { eachNameOnce, name, path, tenant, text } from "./text.ts"

/** Roles that a secret or a token can give. A device is known by its own certificate alone. */
const role = () => z.enum(["gateway", "backend", "operator", "auditor"])

const certificateRule = z
  .strictObject({
    name: name().describe("Begins its callers' ids: `cert:NAME:`."),
    authority: path().describe(
      "PEM or DER of the CAs that issue its callers' certificates. A certificate of another rule's CA is nobody's here.",
    ),
    crls: path()
      .optional()
      .describe(
        "PEM or DER of CRLs. With it, a certificate without a current CRL that says it is good is refused.",
      ),
    role: role().describe("What the holders are."),
    tenant: tenant().default("default").describe("Whose devices and policies the holders see."),
    id: z
      .enum(["spiffe", "dns", "sha256"])
      .describe(
        "What of a certificate is the caller's id: its one URI, a SPIFFE id; its DNS name; or its SHA-256 digest.",
      ),
    ids: z
      .array(text())
      .min(1)
      .optional()
      .describe(
        "The ids of its callers, in full. Without it, all that the CA issues for. For `sha256` there has to be one.",
      ),
  })
  .refine(({ id, ids }) => id !== "sha256" || (ids ?? []).length > 0, {
    path: ["ids"],
    error: "digests have to be listed",
  })

/** What the values of a claim mean here. */
const meaning = <T extends z.ZodType>(value: T) =>
  z.strictObject({
    claim: text().describe("The claim, a member of the token: text, or a list of texts."),
    values: z
      .record(text(), value)
      .describe("What its values mean here. Exactly one meaning has to come out."),
  })

const tokenIssuer = z.strictObject({
  name: name().describe("Begins its callers' ids: `jwt:NAME:SUBJECT`."),
  issuer: text().describe("Exactly what `iss` is."),
  audience: text().describe("Exactly what `aud` is, and no other beside it."),
  keys: path().describe("File of the issuer's JWK Set. Read again when it changes; nothing is fetched."),
  types: z
    .array(text().refine((type) => !type.startsWith("assay-"), "a type of token that Assay issues itself"))
    .min(1)
    .default(["JWT", "at+jwt"])
    .describe("What `typ` may be; `none` for a token without one."),
  role: z.union([role(), meaning(role())]).describe("What the holders are, or which claim says so."),
  tenant: z
    .union([tenant(), meaning(tenant())])
    .default("default")
    .describe("Whose devices and policies the holders see, or which claim says so."),
  lifetimeSecondsMax: z
    .int()
    .min(60)
    .max(86_400)
    .default(3600)
    .describe("How long a token may be good for, from `iat` to `exp`."),
  clockToleranceSeconds: z
    .int()
    .min(0)
    .max(60)
    .default(30)
    .describe("How far the issuer's clock may be from this one."),
})

/** Who may call, and how each is known. */
export const callers = {
  credentials: z
    .array(
      z.strictObject({
        name: name().describe("The caller's id."),
        file: path().describe(
          "Holds the secret, for its owner alone. Development mode makes it where it is absent.",
        ),
        role: role().describe("What its holder is."),
        tenant: tenant().default("default").describe("Whose devices and policies its holder sees."),
      }),
    )
    .refine(eachNameOnce, "a name twice")
    .default([])
    .describe(
      "Callers on this machine that are known by a secret in a file. Development mode adds `gateway` and `backend`.",
    ),
  clientCertificates: z
    .array(certificateRule)
    .refine(eachNameOnce, "a name twice")
    .default([])
    .describe("Callers that are known by a TLS client certificate."),
  tokenIssuers: z
    .array(tokenIssuer)
    .refine(eachNameOnce, "a name twice")
    .refine((all) => new Set(all.map(({ issuer }) => issuer)).size === all.length, "an issuer twice")
    .default([])
    .describe(
      "Callers that are known by a signed token (JWT) of an issuer, sent as `authorization: Bearer TOKEN`.",
    ),
  anonymous: z
    .boolean()
    .optional()
    .describe(
      "Whether callers on this machine without a credential are served as gateways, known by the address and port that they call from alone (over a Unix socket, by the socket). Without it, in development mode only.",
    ),
}
