/**
 * Shared keys as their store sees them: encrypted with a key that comes of the service's passphrase, so that whoever reads
 * the store, its backups or its replication can neither seal nor open.
 */

import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, scrypt } from "node:crypto"
import { promisify } from "node:util"
import { concat, lengthPrefixed, toHex, utf8 } from "../../bytes.ts"
import { AssayError } from "../../errors.ts"
import { Reader } from "../../evidence/reader.ts"
import type { Random } from "../../service/ports.ts"
import { u64Bytes } from "../u64.ts"
import type { KeyRecord, KeyUse } from "./link.ts"
import { KEY_BYTES, KEY_ID_BYTES, type SealingKey } from "./sealing.ts"

/** As for the file of the signing key: 16 MiB and about 0.2 s for each guess. */
const SCRYPT = { N: 16_384, r: 8, p: 5 }
const CIPHER = "aes-256-gcm"
const SALT_BYTES = 16
const IV_BYTES = 12
const TAG_BYTES = 16
const RECORD_BYTES = SALT_BYTES + KEY_ID_BYTES + IV_BYTES + TAG_BYTES + KEY_BYTES
/** Salts that are remembered with what comes of them: replicas share one, and a few are of races. */
const SALTS_MAX = 16

const stretch = promisify<string, Uint8Array, number, typeof SCRYPT, Buffer>(scrypt)

/** Makes and opens records of shared keys. */
export interface KeyRecords {
  /** A new key for a use and a period, and its record. @throws {AssayError} RNG. */
  create(use: KeyUse, period: number): Promise<KeyRecord>
  /** @throws {AssayError} INPUT for a record that was made with another passphrase, or was changed. */
  open(record: KeyRecord): Promise<SealingKey>
}

/**
 * Records under a passphrase. A record is: salt (16 bytes), key id (8), IV (12), tag (16), the encrypted key (32). Use,
 * period and id are additional data, so that none stands for another.
 */
export function createKeyRecords(passphrase: string, random: Random): KeyRecords {
  const wrapping = new Map<string, Promise<KeyObject>>()
  /** The salt that is in use, so that a replica stretches the passphrase once and not for each key. */
  let salt: Uint8Array | undefined

  const wrappingKey = (of: Uint8Array): Promise<KeyObject> => {
    const name = toHex(of)
    const known = wrapping.get(name)
    if (known !== undefined) return known
    const key = stretch(passphrase, of, KEY_BYTES, SCRYPT).then((bytes) => createSecretKey(bytes))
    if (wrapping.size >= SALTS_MAX) wrapping.clear()
    wrapping.set(name, key)
    return key
  }

  return {
    async create(use, period) {
      salt ??= random.bytes(SALT_BYTES)
      const [id, iv, key] = [random.bytes(KEY_ID_BYTES), random.bytes(IV_BYTES), random.bytes(KEY_BYTES)]
      const cipher = createCipheriv(CIPHER, await wrappingKey(salt), iv, { authTagLength: TAG_BYTES })
      cipher.setAAD(additionalData(use, period, id))
      const encrypted = cipher.update(key)
      cipher.final()
      return { use, period, bytes: concat(salt, id, iv, cipher.getAuthTag(), encrypted) }
    },
    async open({ use, period, bytes }) {
      if (bytes.length !== RECORD_BYTES) throw notOurs()
      const r = new Reader(bytes, "shared key")
      const own = r.take("salt", SALT_BYTES)
      const id = r.take("id", KEY_ID_BYTES)
      const iv = r.take("iv", IV_BYTES)
      const decipher = createDecipheriv(CIPHER, await wrappingKey(own), iv, { authTagLength: TAG_BYTES })
      decipher.setAAD(additionalData(use, period, id))
      decipher.setAuthTag(r.take("tag", TAG_BYTES))
      const key = decipher.update(r.take("key", KEY_BYTES))
      try {
        decipher.final()
      } catch {
        throw notOurs()
      }
      salt ??= own
      return { id, key: createSecretKey(key) }
    },
  }
}

const additionalData = (use: KeyUse, period: number, id: Uint8Array): Uint8Array =>
  lengthPrefixed(utf8("assay/v1/shared-key"), utf8(use), u64Bytes(BigInt(period)), id)

const notOurs = (): AssayError =>
  new AssayError(
    "INPUT",
    "the shared keys were encrypted with another passphrase: give all replicas the same one, or this one a store of its own",
    { location: "key.passphrase" },
  )
