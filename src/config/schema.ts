import { z } from "zod"
import { FAULT } from "../faults.ts"
import { callers } from "./callers.ts"
import { engine } from "./engine.ts"
import { limits } from "./limits.ts"
import { listeners, web } from "./listeners.ts"
import { rates } from "./rates.ts"
import { store } from "./store.ts"
import { isHost, isTrustDomain, path, text } from "./text.ts"

const key = z.strictObject({
  algorithm: z.enum(["ES256", "EdDSA"]).default("ES256").describe("What a new key signs with."),
  file: path()
    .optional()
    .describe(
      "The encrypted signing key. Without it, `signing-key.pem` in the data folder; or, where the store is PostgreSQL, a row there.",
    ),
  passphrase: text().optional().describe("The passphrase itself; from the environment, never from the file."),
  passphraseFile: path().optional().describe("A file with the passphrase, for its owner alone."),
})

const deviceAuthority = z.strictObject({
  trustDomain: z
    .string()
    .refine(isTrustDomain, "not a host name in lowercase")
    .default("assay.internal")
    .describe(
      "SPIFFE trust domain: a device is `spiffe://<trust domain>/tenant/<tenant>/device/<id>`. It stands in the authority's own certificate, and stays.",
    ),
  lifetimeSeconds: z
    .int()
    .min(60)
    .max(3600)
    .default(3600)
    .describe("How long a certificate is valid at most. With its session it ends in any case."),
  file: path()
    .optional()
    .describe(
      "The authority: its certificate, and its encrypted key under the same passphrase. Without it, `device-ca.pem` in the data folder; or, where the store is PostgreSQL, a row there.",
    ),
})

const challenge = z.strictObject({
  lifetimeSeconds: z.int().min(5).max(600).default(120).describe("How long a challenge may be answered."),
  spentMax: z
    .int()
    .min(1000)
    .max(10_000_000)
    .default(1_000_000)
    .describe("How many spent challenges are remembered until they expire; when full, Verify is refused."),
})

const enrollment = z.strictObject({
  approval: z
    .enum(["automatic", "operator"])
    .default("automatic")
    .describe("Whether a device that has proven its keys is active at once, or waits for its operator."),
  lifetimeSeconds: z
    .int()
    .min(30)
    .max(900)
    .default(300)
    .describe("How long an enrollment that was begun may be completed."),
})

const journal = z.strictObject({
  checkpointRecords: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(1000)
    .describe("After so many records of one writer a checkpoint is signed."),
  checkpointSeconds: z
    .int()
    .min(1)
    .max(86_400)
    .default(60)
    .describe(
      "And after so long, if there is any. What is written after the last one can be cut off unseen.",
    ),
})

const refresh = z.strictObject({
  hosts: z
    .array(z.string().refine(isHost, "not a host in lowercase, with or without a port"))
    .max(100)
    .default([])
    .describe(
      "Hosts that may be asked, in lowercase, as `host` or `host:port`. None: nothing is ever loaded.",
    ),
  intervalSeconds: z
    .int()
    .min(10)
    .max(86_400)
    .default(300)
    .describe("Between two looks at what is due; it is asked for in rounds of a minute at most."),
  timeoutSeconds: z.int().min(1).max(60).default(10).describe("For one URL, all of it."),
  maxBytes: z
    .int()
    .min(1024)
    .max(33_554_432)
    .default(16_777_216)
    .describe(
      "What one URL may answer with a CRL, the longest that is read having 32 MiB; with certificates, 256 KiB.",
    ),
})

const earForm = z.enum(["2023", "2026"])

const ear = z.strictObject({
  default: earForm.default("2026").describe("The wire form of results."),
  audiences: z
    .record(z.string(), earForm)
    .default({})
    .describe("The wire form for an audience that reads the other one."),
})

/**
 * What `assay serve` can be told. An unknown name and a value of another type are refused with their path. What each
 * setting says of itself is what `docs/configuration.md` says.
 */
export const schema = z
  .strictObject({
    development: z
      .boolean()
      .default(false)
      .describe(
        "Development mode: plaintext TCP on loopback, and a key, a passphrase and local credentials made when absent.",
      ),
    data: path()
      .default(".assay")
      .describe("Folder of the database, the signing key and, in development mode, the credentials."),
    ...listeners,
    workers: z
      .union([z.literal("auto"), z.int().min(1).max(64)])
      .default(1)
      .describe(
        "How many processes serve calls: several share the listeners, and one more looks after them. `auto`: one for each core.",
      ),
    admin: text()
      .optional()
      .describe(
        "Administration socket, `unix:PATH`; its file is for its owner alone, who is an operator. Without it, `admin.sock` in the data folder.",
      ),
    web,
    issuer: z
      .url({ protocol: /^https?$/ })
      .refine((url) => !/[?#]/.test(url), "no query and no fragment")
      .optional()
      .describe("`iss` of every token, without query and fragment. Without it, the public web address."),
    key: key.prefault({}).describe("The key that signs tokens."),
    deviceAuthority: deviceAuthority
      .prefault({})
      .describe("Who issues client certificates to devices that attest a key of their TPM."),
    challenge: challenge.prefault({}).describe("Challenges."),
    store: store.prefault({}).describe("What everything is kept in."),
    engine: engine.prefault({}).describe("What remembers which challenges were spent."),
    clock: z
      .strictObject({
        boundSeconds: z
          .int()
          .min(1)
          .max(60)
          .default(5)
          .describe(
            "How far the clock may be off, compared with the engine's and with its own course. Beyond it, there are no challenges and no tokens.",
          ),
      })
      .prefault({})
      .describe("The clock."),
    enrollment: enrollment.prefault({}).describe("How devices come to be known."),
    journal: journal.prefault({}).describe("The record of every decision and every administrative act."),
    epoch: z
      .strictObject({
        lengthSeconds: z.int().min(10).max(300).default(300).describe("How long an epoch is."),
      })
      .prefault({})
      .describe("Epochs, for devices that only send."),
    devices: z
      .strictObject({
        silenceSeconds: z
          .int()
          .min(60)
          .max(31_536_000)
          .default(86_400)
          .describe(
            "How long ago a device's last session may be before it is listed as silent. Nothing else follows.",
          ),
      })
      .prefault({})
      .describe("Devices."),
    trust: z
      .strictObject({
        refresh: refresh
          .prefault({})
          .describe("What keeps CRLs and issuers' certificates current, apart from any request."),
      })
      .prefault({})
      .describe("Trust in makers of TPMs."),
    ear: ear.prefault({}).describe("Attestation results (EAR)."),
    ...callers,
    rates,
    limits,
    reflection: z.boolean().default(true).describe("Whether anyone may ask for the gRPC schema."),
    logLevel: z
      .enum(["silent", "error", "warn", "info", "debug"])
      .default("info")
      .describe("The least that is logged."),
    fault: z
      .string()
      .regex(FAULT, "no fault point")
      .optional()
      .describe("Development mode only: where the process ends as if the power went (`src/faults.ts`)."),
  })
  .refine(
    ({ engine: { kind, url, urlFile }, store }) =>
      kind !== "postgres" || (url ?? urlFile) !== undefined || store.kind === "postgres",
    {
      path: ["engine", "url"],
      error: "an engine in PostgreSQL has a URL, or a file with one, unless the store is in PostgreSQL too",
    },
  )
  .refine(({ fault, development }) => fault === undefined || development, {
    path: ["fault"],
    error: "faults are for development mode",
  })

/** The settings of a server, complete. */
export type Config = z.infer<typeof schema>
