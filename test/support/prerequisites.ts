/** What tests need beside Node, and what becomes of a test whose prerequisite is not there. */
import { existsSync, globSync } from "node:fs"
import { resolve } from "node:path"
import type { uvu } from "uvu"

/** Where the third-party vectors are. */
export const VECTORS = resolve(process.env["ASSAY_VECTORS"] ?? "../shared/vectors")

const onPath = (program: string): boolean =>
  (process.env["PATH"] ?? "").split(":").some((folder) => existsSync(`${folder}/${program}`))

/** Where PostgreSQL's own programs are: Debian keeps those of each version apart. The latest, if there is one. */
export const postgresPrograms = (): string | undefined =>
  globSync("/usr/lib/postgresql/*/bin")
    .filter((folder) =>
      ["initdb", "postgres", "pg_basebackup"].every((name) => existsSync(`${folder}/${name}`)),
    )
    .sort((a, b) => Number(b.split("/")[4]) - Number(a.split("/")[4]))[0]

/** Where ghz is: on PATH, or where `make loadtest` builds it. Nothing if it is at neither. */
export const ghzProgram = (): string | undefined =>
  [
    ...(process.env["PATH"] ?? "").split(":").map((folder) => `${folder}/ghz`),
    resolve(".cache/bin/ghz"),
  ].find((file) => existsSync(file))

const THERE = {
  ghz: () => ghzProgram() !== undefined,
  vectors: () => existsSync(VECTORS),
  swtpm: () => ["swtpm", "swtpm_setup", "tpm2_quote", "tpm2_checkquote"].every(onPath),
  postgres: () => postgresPrograms() !== undefined,
  redis: () => onPath("redis-server"),
  nginx: () => onPath("nginx"),
} as const satisfies Record<string, () => boolean>

/** Something beside Node that some tests need. */
export type Prerequisite = keyof typeof THERE

const required = (process.env["ASSAY_REQUIRE"] ?? "").split(",")

/** Whether the prerequisite is there. */
export const isThere = (prerequisite: Prerequisite): boolean => THERE[prerequisite]()

/**
 * `test` if the prerequisite is there, else `test.skip`, which the runner counts and prints. With the
 * prerequisite named in ASSAY_REQUIRE, its absence is a failure.
 */
export const needs = <T>(
  prerequisite: Prerequisite,
  test: uvu.Test<T>,
): ((name: string, body: () => void | Promise<void>) => void) => {
  if (isThere(prerequisite)) return test
  if (required.includes(prerequisite))
    return (name) =>
      test(name, () => {
        throw new Error(`${prerequisite} is required (ASSAY_REQUIRE) and is not there`)
      })
  return (name) => test.skip(name)
}
