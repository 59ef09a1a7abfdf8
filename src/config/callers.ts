import { z } from "zod"
import { eachNameOnce, name, path, tenant } from "./text.ts"

/** Roles that a secret or a token can give. A device is known by its own certificate alone. */
const role = () => z.enum(["gateway", "backend", "operator", "auditor"])

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
    .describe("Callers that are known by a secret in a file. Development mode adds `gateway` and `backend`."),
  anonymous: z
    .boolean()
    .default(true)
    .describe(
      "Whether callers without a credential are served as gateways, known by their connection alone (over a Unix socket, by the socket).",
    ),
}
