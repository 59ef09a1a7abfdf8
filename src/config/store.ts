import { z } from "zod"
import { databaseSchema, path, text } from "./text.ts"

/** Where devices, policies, trust and the journal are kept. */
export const store = z
  .strictObject({
    kind: z
      .enum(["sqlite", "postgres"])
      .default("sqlite")
      .describe(
        "What keeps devices, policies, trust and the journal: a file in the data folder, for one process, or PostgreSQL (13 or later), for replicas, which then find their keys there too.",
      ),
    url: text()
      .optional()
      .describe(
        "Where PostgreSQL is: `postgres://`. One with a password comes from the environment or `urlFile`.",
      ),
    urlFile: path().optional().describe("A file with the URL, for its owner alone."),
    schema: databaseSchema()
      .default("assay")
      .describe(
        "PostgreSQL: the schema of the tables, which are made, and brought up to date, by whoever starts.",
      ),
    plaintext: z
      .boolean()
      .default(false)
      .describe("Whether PostgreSQL on another machine may be reached without TLS (`sslmode=verify-full`)."),
  })
  .refine(({ kind, url, urlFile }) => kind !== "sqlite" || (url ?? urlFile) === undefined, {
    path: ["kind"],
    error: "a store in a file has no URL",
  })
  .refine(({ kind, url, urlFile }) => kind === "sqlite" || (url === undefined) !== (urlFile === undefined), {
    path: ["url"],
    error: "PostgreSQL has either a URL or a file with one",
  })
