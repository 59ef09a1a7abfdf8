/** Keys that replicas share: in the text of their files, each by its name in a store. */

import { utf8 } from "../bytes.ts"
import type { Clock, KeyStore, Random } from "../service/ports.ts"
import { type Authority, generateAuthority } from "./authority.ts"
import { decodeAuthority, encodeAuthority } from "./authority-file.ts"
import type { SigningKey } from "./key.ts"
import { decodeSigningKey, encodeSigningKey, type NewKey, newSigningKey } from "./keyfile.ts"
import { fileError } from "./privatefile.ts"

/** A key that replicas share. Reading it takes 0.2 s, which is what a guess at the passphrase costs. */
export interface Shared<T> {
  /** Where it is, for people. */
  readonly place: string
  /**
   * Nothing if it is not there.
   *
   * @throws {AssayError} SIGNER if it does not open with the passphrase or was altered; REGISTRY.
   */
  read(): Promise<T | undefined>
  /**
   * Makes it first if it is not there. Of replicas that do so at once, what one of them made counts for all.
   *
   * @throws {AssayError} as `read`; RNG.
   */
  ensure(): Promise<T>
}

/** How a kind of key is made, written and read. */
interface Form<T> {
  readonly make: () => T | Promise<T>
  readonly encode: (key: T) => string
  readonly decode: (place: string, text: string) => T
}

const shared = <T>(keys: KeyStore, name: string, { make, encode, decode }: Form<T>): Shared<T> => {
  const place = `service_keys of the database (${name})`
  const read = async (): Promise<T | undefined> => {
    const pem = await keys.get(name)
    return pem && decode(place, new TextDecoder().decode(pem))
  }
  return {
    place,
    read,
    async ensure() {
      const found = await read()
      if (found !== undefined) return found
      await keys.putIfAbsent(name, utf8(encode(await make())))
      // Read back: another replica may have been first.
      const kept = await read()
      if (kept === undefined) throw fileError(place, "is gone again after it was written")
      return kept
    },
  }
}

/** The key that signs the tokens of all replicas. */
export const sharedSigningKey = (
  keys: KeyStore,
  passphrase: string,
  fresh: NewKey,
  { clock }: { readonly clock: Clock },
): Shared<SigningKey> =>
  shared(keys, "signing-key", {
    make: () => newSigningKey(fresh, clock),
    encode: (key) => encodeSigningKey(key, passphrase),
    decode: (place, text) => decodeSigningKey(place, text, passphrase),
  })

/** Who issues to devices, on all replicas. */
export const sharedAuthority = (
  keys: KeyStore,
  passphrase: string,
  trustDomain: string,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Shared<Authority> =>
  shared(keys, "device-ca", {
    make: () => generateAuthority(trustDomain, clock.now(), random),
    encode: (authority) => encodeAuthority(authority, passphrase),
    decode: (place, text) => decodeAuthority(place, text, passphrase),
  })
