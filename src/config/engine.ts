import { z } from "zod"
import { databaseSchema, path, text } from "./text.ts"

/** Where what is used once is remembered. */
export const engine = z
  .strictObject({
    kind: z
      .enum(["memory", "redis", "postgres"])
      .optional()
      .describe(
        "Who owns sealing keys and the memory of spent challenges: this process alone, or a server that replicas share, Redis (Valkey; not Redis Cluster) or PostgreSQL (13 or later). Without it, PostgreSQL if `store.kind` is, else memory.",
      ),
    url: text()
      .optional()
      .describe(
        "Where it is: `redis://`, `rediss://` or `unix:PATH`; `postgres://`. One with a password comes from the environment or `urlFile`. Without either, PostgreSQL is that of `store`.",
      ),
    urlFile: path().optional().describe("A file with the URL, for its owner alone."),
    schema: databaseSchema()
      .default("assay_engine")
      .describe("PostgreSQL: the schema of the engine's tables, which are made where they are not there."),
    plaintext: z
      .boolean()
      .default(false)
      .describe(
        "Whether an engine on another machine may be reached without TLS (`rediss://`, `sslmode=verify-full`).",
      ),
  })
  .refine(({ kind = "memory", url, urlFile }) => kind !== "memory" || (url ?? urlFile) === undefined, {
    path: ["kind"],
    error: "an engine in memory has no URL",
  })
  .refine(({ kind, url, urlFile }) => kind !== "redis" || (url ?? urlFile) !== undefined, {
    path: ["url"],
    error: "Redis has a URL, or a file with one",
  })
  .refine(({ url, urlFile }) => url === undefined || urlFile === undefined, {
    path: ["url"],
    error: "an engine has either a URL or a file with one",
  })
