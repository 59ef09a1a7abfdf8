/** What versions of the schema in PostgreSQL are put together from. As released versions, none of it ever changes. */

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

/** Rows of the table never change and never go. */
export const keepRows = (table: string, reason: string): string => `
CREATE TRIGGER ${table}_kept BEFORE UPDATE OR DELETE ON ${table}
  FOR EACH ROW EXECUTE FUNCTION refuse('${reason}');
CREATE TRIGGER ${table}_truncate BEFORE TRUNCATE ON ${table}
  FOR EACH STATEMENT EXECUTE FUNCTION refuse('${reason}');`

/** Rows of the table never go, and keep their key while a number of theirs moves on. */
export const moveOn = (table: string, key: readonly string[], number: string, reason: string): string => `
CREATE TRIGGER ${table}_update BEFORE UPDATE ON ${table} FOR EACH ROW
  WHEN (${key.map((column) => `NEW.${column} <> OLD.${column}`).join(" OR ")} OR NEW.${number} <= OLD.${number})
  EXECUTE FUNCTION refuse('${reason}');
CREATE TRIGGER ${table}_delete BEFORE DELETE ON ${table}
  FOR EACH ROW EXECUTE FUNCTION refuse('${reason}');
CREATE TRIGGER ${table}_truncate BEFORE TRUNCATE ON ${table}
  FOR EACH STATEMENT EXECUTE FUNCTION refuse('${reason}');`

/** A new row of the table is refused unless `condition` holds. */
export const onlyIf = (table: string, condition: string, reason: string): string => `
CREATE FUNCTION ${table}_next() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF ${condition} THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION '${reason}';
END $$;
CREATE TRIGGER ${table}_insert BEFORE INSERT ON ${table}
  FOR EACH ROW EXECUTE FUNCTION ${table}_next();`

/** The highest number of the rows that have the new row's key, 0 without any: asked for as one step in an index. */
export const lastOf = (table: string, number: string, key: readonly string[]): string =>
  `coalesce((SELECT ${number} FROM ${table} WHERE ${key.map((column) => `${column} = NEW.${column}`).join(" AND ")}
             ORDER BY ${number} DESC LIMIT 1), 0)`
