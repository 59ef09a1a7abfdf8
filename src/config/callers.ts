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
  anonymous: z
    .boolean()
    .optional()
    .describe(
      "Whether callers on this machine without a credential are served as gateways, known by their connection alone (over a Unix socket, by the socket). Without it, in development mode only.",
    ),
}
