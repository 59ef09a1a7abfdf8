/** ghz, the load generator for gRPC: its configurations in `ghz/`, and runs of it on cores of its own. */
import { execFile } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { promisify } from "node:util"
import { z } from "zod"

const run = promisify(execFile)
/** A report has a line of some 120 bytes for each call. */
const REPORT_BYTES_MAX = 512 * 1024 * 1024
const NANOSECONDS_PER_MS = 1_000_000

const METHODS = [
  "assay.v1.AttestationService.Verify",
  "assay.v1.AttestationService.VerifyStream",
  "assay.v1.AttestationService.CreateChallenge",
  "assay.v1.AttestationService.GetEpoch",
  "assay.v1.EnrollmentService.BeginEnrollment",
] as const

/**
 * A configuration, as ghz reads it too; the files that it names are made for each run, in a folder of that run. Its tags say what its data file is to be made of; a method that takes devices' messages
 * has such a file, and the others their data in the configuration itself.
 */
const configuration = z.strictObject({
  name: z.string(),
  host: z.string(),
  insecure: z.literal(true),
  protoset: z.string(),
  call: z.enum(METHODS),
  data: z.record(z.string(), z.string()).optional(),
  "data-file": z.string().optional(),
  /** Calls; of VerifyStream, streams, each of which carries every message of the data file. */
  total: z.int().min(1),
  concurrency: z.int().min(1),
  connections: z.int().min(1),
  timeout: z.string(),
  tags: z
    .strictObject({
      freshness: z.enum(["nonce", "epoch", "challenge"]),
      /** How many messages one stream carries that can be shown only once: of what ghz has for streams, all carry all. */
      messages: z.coerce.number().int().min(1).optional(),
      /** How many of a hundred quotes carry a signature that is not their key's. */
      forgedPercent: z.coerce.number().int().min(0).max(100).default(0),
    })
    .optional(),
})
export type Configuration = z.infer<typeof configuration>

/** A configuration out of its file. @throws {ZodError} for anything that this load test would not heed. */
export const readConfiguration = (file: string): Configuration =>
  configuration.parse(JSON.parse(readFileSync(file, "utf8")))

const report = z.object({
  count: z.number(),
  rps: z.number(),
  statusCodeDistribution: z.record(z.string(), z.number()).nullish(),
  latencyDistribution: z.array(z.object({ percentage: z.number(), latency: z.number() })).nullish(),
})

/** What ghz has seen. Latencies in ms, of whole streams for VerifyStream. */
export interface GhzReport {
  readonly calls: number
  readonly ok: number
  readonly callsPerSecond: number
  readonly p50Ms: number
  readonly p95Ms: number
  readonly p99Ms: number
  /** Calls by gRPC status, but for OK. */
  readonly errors: Readonly<Record<string, number>>
}

/** How to run ghz. */
export interface GhzOptions {
  readonly program: string
  /** What goes before it, so that it keeps to its cores; nothing where there is no choice. */
  readonly pinned: readonly string[]
  readonly address: string
  /** The caller's; it goes into a file, for everybody may read a command line. */
  readonly credential: string
  /** Has the protoset and the data files, and gets the configuration that ghz is given. */
  readonly folder: string
  readonly total: number
}

/** Runs ghz once. @throws {Error} if it cannot make its calls at all. */
export async function runGhz(
  config: Configuration,
  { program, pinned, address, credential, folder, total }: GhzOptions,
): Promise<GhzReport> {
  const dataFile = config["data-file"]
  const file = join(folder, `${config.name}.config.json`)
  const given = {
    ...config,
    tags: {},
    host: address,
    protoset: join(folder, basename(config.protoset)),
    ...(dataFile !== undefined && { "data-file": join(folder, basename(dataFile)) }),
    metadata: { authorization: `Bearer ${credential}` },
    total,
    // ghz refuses more workers than calls, and more connections than workers.
    concurrency: Math.min(config.concurrency, total),
    connections: Math.min(config.connections, config.concurrency, total),
  }
  writeFileSync(file, JSON.stringify(given), { mode: 0o600 })
  const [command = program, ...args] = [...pinned, program, "--config", file, "--format", "json"]
  const { stdout } = await run(command, args, { maxBuffer: REPORT_BYTES_MAX })
  return readReport(stdout)
}

/** What of ghz's own report counts here. */
export function readReport(json: string): GhzReport {
  const { count, rps, statusCodeDistribution, latencyDistribution } = report.parse(JSON.parse(json))
  const { OK: ok = 0, ...errors } = statusCodeDistribution ?? {}
  const latencyMs = (percentage: number): number =>
    (latencyDistribution?.find((one) => one.percentage === percentage)?.latency ?? Number.NaN) /
    NANOSECONDS_PER_MS
  return {
    calls: count,
    ok,
    callsPerSecond: rps,
    p50Ms: latencyMs(50),
    p95Ms: latencyMs(95),
    p99Ms: latencyMs(99),
    errors,
  }
}
