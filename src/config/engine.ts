import { z } from "zod"
import { path, text } from "./text.ts"

/** Where what is used once is remembered. */
export const engine = z
  .strictObject({
    kind: z
      .enum(["memory", "redis", "postgres"])
      .default("memory")
      .describe(
        "Who owns sealing keys and the memory of spent challenges: this process alone, or a store that replicas share, Redis (Valkey; not Redis Cluster) or PostgreSQL (13 or later).",
      ),
    url: text()
      .optional()
      .describe(
        "Where the store is: `redis://`, `rediss://` or `unix:PATH`; `postgres://`. One with a password comes from the environment or `urlFile`.",
      ),
    urlFile: path().optional().describe("A file with the URL, for its owner alone."),
    schema: z
      .string()
      .regex(/^[a-z_][a-z0-9_]{0,62}$/, "not a schema of a-z 0-9 _ with at most 63")
      .default("assay_engine")
      .describe("PostgreSQL: the schema of the engine's tables, which are made where they are not there."),
    plaintext: z
      .boolean()
      .default(false)
      .describe(
        "Whether a store on another machine may be reached without TLS (`rediss://`, `sslmode=verify-full`).",
      ),
  })
  .refine(({ kind, url, urlFile }) => kind !== "memory" || (url ?? urlFile) === undefined, {
    path: ["kind"],
    error: "an engine in memory has no URL",
  })
  .refine(({ kind, url, urlFile }) => kind === "memory" || (url === undefined) !== (urlFile === undefined), {
    path: ["url"],
    error: "a shared engine has either a URL or a file with one",
  })
