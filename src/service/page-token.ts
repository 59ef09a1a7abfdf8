/**
 * Page tokens: where the next page begins. They name an item that need not be there any more, by what never changes, so that
 * a list stays whole while items come and go.
 *
 * A token says for which list it was made: whose, of what, narrowed and ordered how. It is not authenticated, for it
 * gives nobody anything: another place in one's own list is all that a forged one can name.
 */
import { hash } from "node:crypto"
import { concat, fromBase64Url, lengthPrefixed, sameBytes, toBase64Url, utf8 } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import { Reader } from "../evidence/reader.ts"

/** The last item of a page. */
export interface Cursor {
  readonly id: string
  readonly createdAt: Date
}

const VERSION = 1
const DIGEST_BYTES = 16
const TIME_BYTES = 8
const ID = /^[a-z0-9][a-z0-9._-]{0,62}$/
/** The last instant that a Date can be. */
const TIME_MS_MAX = 8_640_000_000_000_000n

/**
 * A token for the page after `cursor`: version u8, digest of the list 16 bytes, createdAt in ms u64, the id to the end; in
 * base64url.
 *
 * @param list What the list is, part by part: its kind, the tenant, the filter, the order.
 */
export const pageTokenOf = (list: readonly string[], { id, createdAt }: Cursor): string => {
  const time = Buffer.alloc(TIME_BYTES)
  time.writeBigUInt64BE(BigInt(createdAt.getTime()))
  return toBase64Url(concat(Uint8Array.of(VERSION), digestOf(list), time, utf8(id)))
}

/** Where a page begins; nothing for the empty token of the first one. @throws {AssayError} PAGE_TOKEN. */
export function cursorOf(list: readonly string[], token: string): Cursor | undefined {
  if (token === "") return undefined
  const bytes = fromBase64Url(token)
  if (bytes === undefined || bytes.length <= 1 + DIGEST_BYTES + TIME_BYTES) throw refused("a page token")
  const reader = new Reader(bytes, "page_token")
  const version = reader.u8("version")
  const digest = reader.take("list", DIGEST_BYTES)
  const createdAt = reader.u64("createdAt")
  const id = new TextDecoder().decode(reader.rest())
  if (version !== VERSION || createdAt > TIME_MS_MAX || !ID.test(id)) throw refused("a page token")
  if (!sameBytes(digest, digestOf(list)))
    throw refused("the token of the page before, with the same filter and order")
  return { id, createdAt: new Date(Number(createdAt)) }
}

const digestOf = (list: readonly string[]): Uint8Array =>
  hash("sha256", lengthPrefixed(utf8("assay/v1/page"), ...list.map(utf8)), "buffer").subarray(0, DIGEST_BYTES)

const refused = (expected: string): AssayError =>
  new AssayError("PAGE_TOKEN", "the page token is not one for this list", {
    location: "page_token",
    expected,
  })
