/** What versions of the schema in PostgreSQL are put together from. As released versions, none of it ever changes. */

import type { ClientBase } from "pg"

/** Makes a schema of one version out of one of the version before, in a transaction and with the schema as search path. */
export type SchemaStep = (client: ClientBase) => Promise<void>

/** A step of statements alone. */
export const sqlStep =
  (sql: string): SchemaStep =>
  async (client) => {
    await client.query(sql)
  }

/** A text that is compared by its bytes. */
export const text = 'text COLLATE "C"'

/** A column of 32 bytes. */
export const bytes32 = (column: string): string => `${column} bytea CHECK (length(${column}) = 32)`

/** A column of 8 bytes. */
export const bytes8 = (column: string): string => `${column} bytea CHECK (length(${column}) = 8)`

/** A column of a list, as JSON. */
export const jsonList = (column: string): string =>
  `${column} ${text} NOT NULL CHECK (json_typeof(${column}::json) = 'array')`

/** Refuses what a table does not allow, with the reason that the trigger has. */
export const REFUSE = `
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '%', TG_ARGV[0];
END $$;`

const refused = (table: string, name: string, event: string, reason: string): string => `
CREATE TRIGGER ${table}_${name} BEFORE ${event} EXECUTE FUNCTION refuse('${reason}');`

/** `TRUNCATE` is refused. */
export const keepTable = (table: string, reason: string): string =>
  refused(table, "truncate", `TRUNCATE ON ${table} FOR EACH STATEMENT`, reason)

/** Rows of the table never change. */
export const keepRows = (table: string, reason: string): string =>
  refused(table, "update", `UPDATE ON ${table} FOR EACH ROW`, reason)

/** Rows of the table never go. */
export const keepAll = (table: string, reason: string): string =>
  refused(table, "delete", `DELETE ON ${table} FOR EACH ROW`, reason) + keepTable(table, reason)

/** Rows of the table never go, and keep their key while a number of theirs moves on. */
export const moveOn = (table: string, key: readonly string[], number: string, reason: string): string => {
  const differs = key.map((column) => `NEW.${column} <> OLD.${column} OR`).join(" ")
  const when = `WHEN (${differs} NEW.${number} <= OLD.${number})`
  return refused(table, "update", `UPDATE ON ${table} FOR EACH ROW ${when}`, reason) + keepAll(table, reason)
}

const checked = (name: string, row: "NEW" | "OLD", condition: string, reason: string): string => `
CREATE OR REPLACE FUNCTION ${name}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF ${condition} THEN
    RETURN ${row};
  END IF;
  RAISE EXCEPTION '${reason}';
END $$;`

/** A new row of the table is refused unless `condition` holds; from now on, where it was another condition before. */
export const checkNew = (table: string, condition: string, reason: string): string =>
  checked(`${table}_next`, "NEW", condition, reason)

/** A new row of the table is refused unless `condition` holds. */
export const addOnlyIf = (table: string, condition: string, reason: string): string => `
${checkNew(table, condition, reason)}
CREATE TRIGGER ${table}_insert BEFORE INSERT ON ${table}
  FOR EACH ROW EXECUTE FUNCTION ${table}_next();`

/** A row of the table goes only if `condition` holds. */
export const removeOnlyIf = (table: string, condition: string, reason: string): string => `
${checked(`${table}_gone`, "OLD", condition, reason)}
CREATE TRIGGER ${table}_delete BEFORE DELETE ON ${table}
  FOR EACH ROW EXECUTE FUNCTION ${table}_gone();`

/** The number of the row with the highest `order` of those that have the new row's key; 0 without any. One step in an index. */
export const lastOf = (table: string, number: string, key: readonly string[], order = number): string =>
  `coalesce((SELECT ${number} FROM ${table} WHERE ${key.map((column) => `${column} = NEW.${column}`).join(" AND ")}
             ORDER BY ${order} DESC LIMIT 1), 0)`
