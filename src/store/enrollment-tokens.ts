import { AssayError } from "../errors.ts"
import type { EnrollmentTokenRecord } from "../service/ports.ts"
import { labelsColumn, labelsFrom } from "./device-row.ts"
import { blob, instant, instantColumn, integer, type Row, text } from "./row.ts"
import { ask, changesOf, rowOf, statement, type Work } from "./statement.ts"

type TokenColumns = {
  tenant: string
  id: string
  secret_digest: Uint8Array
  uses_max: number
  created_at: number
  expires_at: number
  device_group: string
  labels: string
}

const insertToken = statement<TokenColumns>((builder, at) =>
  builder.insertInto("enrollment_tokens").values({
    tenant: at("tenant"),
    id: at("id"),
    secret_digest: at("secret_digest"),
    uses_max: at("uses_max"),
    uses: 0,
    created_at: at("created_at"),
    expires_at: at("expires_at"),
    revoked: 0,
    device_group: at("device_group"),
    labels: at("labels"),
  }),
)

export const selectToken = statement<{ digest: Uint8Array }>((builder, at) =>
  builder.selectFrom("enrollment_tokens").selectAll().where("secret_digest", "=", at("digest")),
)

export const selectTokens = statement<{ tenant: string; after: string; max: number }>((builder, at) =>
  builder
    .selectFrom("enrollment_tokens")
    .selectAll()
    .where("tenant", "=", at("tenant"))
    .where("id", ">", at("after"))
    .orderBy("id")
    .limit(at("max")),
)

const useOnce = statement<{ tenant: string; id: string; now: number }>((builder, at) =>
  builder
    .updateTable("enrollment_tokens")
    .set((set) => ({ uses: set("uses", "+", 1) }))
    .where("tenant", "=", at("tenant"))
    .where("id", "=", at("id"))
    .where("revoked", "=", 0)
    .where("expires_at", ">", at("now"))
    .whereRef("uses", "<", "uses_max")
    .returningAll(),
)

const revoke = statement<{ tenant: string; id: string }>((builder, at) =>
  builder
    .updateTable("enrollment_tokens")
    .set({ revoked: 1 })
    .where("tenant", "=", at("tenant"))
    .where("id", "=", at("id")),
)

/** Adds a token that was never used. */
export function* addToken(token: Omit<EnrollmentTokenRecord, "uses" | "revoked">): Work<void> {
  yield* ask(
    insertToken({
      tenant: token.tenant,
      id: token.id,
      secret_digest: token.digest,
      uses_max: token.usesMax,
      created_at: instantColumn(token.createdAt),
      expires_at: instantColumn(token.expiresAt),
      device_group: token.group,
      labels: labelsColumn(token.labels),
    }),
  )
}

/** Uses a token once more. @throws {AssayError} ENROLLMENT_TOKEN if it is used up, expired, revoked, or another tenant's. */
export function* useToken(tenant: string, id: string, at: Date): Work<EnrollmentTokenRecord> {
  const row = yield* rowOf(useOnce({ tenant, id, now: instantColumn(at) }))
  if (row === undefined)
    throw new AssayError("ENROLLMENT_TOKEN", "the enrollment token is used up, expired or revoked")
  return tokenFrom(row)
}

/** @throws {AssayError} ENROLLMENT_TOKEN_NOT_FOUND. */
export function* revokeToken(tenant: string, id: string): Work<void> {
  if ((yield* changesOf(revoke({ tenant, id }))) === 0)
    throw new AssayError("ENROLLMENT_TOKEN_NOT_FOUND", `there is no enrollment token ${id}`)
}

/** A row of `enrollment_tokens`. */
export const tokenFrom = (row: Row): EnrollmentTokenRecord => ({
  tenant: text(row, "tenant"),
  id: text(row, "id"),
  digest: blob(row, "secret_digest"),
  usesMax: integer(row, "uses_max"),
  uses: integer(row, "uses"),
  createdAt: instant(row, "created_at"),
  expiresAt: instant(row, "expires_at"),
  revoked: integer(row, "revoked") === 1,
  group: text(row, "device_group"),
  labels: labelsFrom(row, "labels"),
})
