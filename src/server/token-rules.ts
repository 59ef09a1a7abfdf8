import { AssayError } from "../errors.ts"
import { isObject, parseUniqueJson } from "../evidence/json.ts"
import { type KeySet, prepareForeignKeySet } from "../jwt/keyset.ts"
import { openAll, readWatchedFile, type WatchOptions, watchFiles } from "../reload.ts"
import type { TokenRule } from "./bearer.ts"

/** A rule about tokens, as it is configured. */
export interface TokenFiles extends Omit<TokenRule, "keys"> {
  /** File of the issuer's JWK Set. */
  readonly keys: string
}

/** Rules that are read again when their files change. */
export interface WatchedTokenRules {
  readonly rules: () => readonly TokenRule[]
  readonly unready: () => readonly string[]
  readonly look: () => Promise<void>
  readonly close: () => void
}

/**
 * Reads the key sets of issuers, and reads them again when they change.
 *
 * @throws {AssayError} INPUT for a file that cannot be read, or that is no key set to verify with.
 */
export function watchTokenRules(
  all: readonly TokenFiles[],
  watch: Pick<WatchOptions<unknown>, "alarm" | "intervalMs"> & { readonly changed?: () => void },
): WatchedTokenRules {
  const watched = openAll(all, (files) =>
    watchFiles<TokenRule>({
      ...watch,
      files: [{ path: files.keys }],
      read: ([bytes]) => ({ ...files, keys: keySetOf(files.keys, bytes ?? new Uint8Array()) }),
    }),
  )
  return {
    rules: () => watched.map((one) => one.current()),
    unready: () => watched.flatMap((one) => one.unready() ?? []),
    look: async () => void (await Promise.all(watched.map((one) => one.look()))),
    close: () => {
      for (const one of watched) one.close()
    },
  }
}

/** Reads the key set of a rule once. @throws {AssayError} INPUT. */
export const readTokenRule = (files: TokenFiles): TokenRule => ({
  ...files,
  keys: keySetOf(files.keys, readWatchedFile({ path: files.keys })),
})

function keySetOf(path: string, bytes: Uint8Array): KeySet {
  const document = parseUniqueJson(bytes)
  const keys = document?.["keys"]
  if (!Array.isArray(keys) || !keys.every(isObject))
    throw new AssayError("INPUT", `${path} is no JWK Set`, {
      location: path,
      expected: "a JSON object with a list of keys, each member once",
    })
  let set: KeySet
  try {
    set = prepareForeignKeySet({ keys })
  } catch (cause) {
    const why = cause instanceof AssayError ? cause.message : "not a key set"
    throw new AssayError("INPUT", `${path}: ${why}`, { location: path, cause })
  }
  if (set.size === 0)
    throw new AssayError("INPUT", `${path} holds no key that signs`, {
      location: path,
      expected: "a public key for ES256, ES384, EdDSA, RS256, RS384 or RS512",
    })
  return set
}
