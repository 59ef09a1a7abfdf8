import type { KeyStore } from "../service/ports.ts"
import { type Database, guard } from "./database.ts"
import { blob } from "./row.ts"
import { changesOf, statement } from "./statement.ts"

const selectKey = statement<{ name: string }>((builder, at) =>
  builder.selectFrom("service_keys").select("pem").where("name", "=", at("name")),
)

const insertKey = statement<{ name: string; pem: Uint8Array }>((builder, at) =>
  builder
    .insertInto("service_keys")
    .values({ name: at("name"), pem: at("pem") })
    .onConflict((conflict) => conflict.doNothing()),
)

/** Keys of the service in a database. */
export const createKeyStore = (database: Database): KeyStore => ({
  get: (name) =>
    guard(async () => {
      const [row] = (await database.ask(selectKey({ name }))).rows
      return row === undefined ? undefined : blob(row, "pem")
    }),
  putIfAbsent: (name, pem) =>
    guard(async () => (await database.write(() => changesOf(insertKey({ name, pem })))) > 0),
})
