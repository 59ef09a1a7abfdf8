import { utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { PolicyRecord } from "../service/ports.ts"
import { checkDigest } from "./digest.ts"
import { blob, integer, type Row, text } from "./row.ts"
import { ask, rowOf, statement, type Work } from "./statement.ts"
import type { Builder } from "./tables.ts"

type OfName = { tenant: string; name: string }

/** Policies `p`, each with its latest document `x`. */
const policiesIn = (builder: Builder) =>
  builder
    .selectFrom("policies as p")
    .innerJoin("policy_documents as x", (join) =>
      join
        .onRef("x.tenant", "=", "p.tenant")
        .onRef("x.name", "=", "p.name")
        .onRef("x.revision", "=", "p.revision"),
    )
    .select(["p.tenant", "p.name as policy_name", "p.revision as policy_revision", "x.document"])
    .select("x.digest as document_digest")

export const selectPolicy = statement<OfName>((builder, at) =>
  policiesIn(builder).where("p.tenant", "=", at("tenant")).where("p.name", "=", at("name")),
)

/** What judges devices of a group, which no policy is assigned to if its name is empty. */
export const selectGroupPolicy = statement<{ tenant: string; group: string }>((builder, at) =>
  policiesIn(builder)
    .leftJoin("default_policies as f", "f.tenant", "p.tenant")
    .leftJoin("group_policies as g", (join) =>
      join.onRef("g.tenant", "=", "p.tenant").on("g.device_group", "=", at("group")),
    )
    .where("p.tenant", "=", at("tenant"))
    .where((where) => where("p.name", "=", where.fn.coalesce("g.policy", "f.policy"))),
)

const nextRevision = statement<OfName>((builder, at) =>
  builder
    .insertInto("policies")
    .values({ tenant: at("tenant"), name: at("name"), revision: 1 })
    .onConflict((conflict) =>
      conflict
        .columns(["tenant", "name"])
        .doUpdateSet((set) => ({ revision: set("policies.revision", "+", 1) })),
    )
    .returning("revision"),
)

const insertDocument = statement<OfName & { revision: number; document: string; digest: Uint8Array }>(
  (builder, at) =>
    builder.insertInto("policy_documents").values({
      tenant: at("tenant"),
      name: at("name"),
      revision: at("revision"),
      document: at("document"),
      digest: at("digest"),
    }),
)

const putDefault = statement<{ tenant: string; policy: string }>((builder, at) =>
  builder
    .insertInto("default_policies")
    .values({ tenant: at("tenant"), policy: at("policy") })
    .onConflict((conflict) =>
      conflict.column("tenant").doUpdateSet((set) => ({ policy: set.ref("excluded.policy") })),
    ),
)

const putGroup = statement<{ tenant: string; group: string; policy: string }>((builder, at) =>
  builder
    .insertInto("group_policies")
    .values({ tenant: at("tenant"), device_group: at("group"), policy: at("policy") })
    .onConflict((conflict) =>
      conflict
        .columns(["tenant", "device_group"])
        .doUpdateSet((set) => ({ policy: set.ref("excluded.policy") })),
    ),
)

/** The latest revision. @throws {AssayError} POLICY_NOT_FOUND. */
export function* policyOf(tenant: string, name: string): Work<PolicyRecord> {
  const row = yield* rowOf(selectPolicy({ tenant, name }))
  if (row === undefined) throw policyNotFound(name)
  return policyFrom(row)
}

/** Adds a document as the next revision of its name, whatever was posted under it before. */
export function* addRevision({
  tenant,
  name,
  document,
  digest,
}: Omit<PolicyRecord, "revision">): Work<PolicyRecord> {
  const row = yield* rowOf(nextRevision({ tenant, name }))
  if (row === undefined) throw new Error("no revision came back")
  yield* ask(insertDocument({ tenant, name, revision: integer(row, "revision"), document, digest }))
  return yield* policyOf(tenant, name) // read back, and so held against its digest before it is committed
}

/** Judges the devices of a group, or of the tenant, by a policy that is there. */
export function* assign(tenant: string, policy: string, group: string | undefined): Work<void> {
  yield* ask(group === undefined ? putDefault({ tenant, policy }) : putGroup({ tenant, group, policy }))
}

/** A policy of a row that has the columns of `policiesIn`. @throws {Error} if the document is not the one that was stored. */
export const policyFrom = (row: Row): PolicyRecord => {
  const policy = {
    tenant: text(row, "tenant"),
    name: text(row, "policy_name"),
    revision: integer(row, "policy_revision"),
    document: text(row, "document"),
    digest: blob(row, "document_digest"),
  }
  checkDigest(utf8(policy.document), policy.digest, "a policy document")
  return policy
}

export const policyNotFound = (name: string): AssayError =>
  new AssayError("POLICY_NOT_FOUND", `there is no policy ${name}`)
