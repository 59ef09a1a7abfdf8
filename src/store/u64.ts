/** `value` as 8 bytes, big-endian, in memory that is shared with others: to be written somewhere, and not kept. @throws {RangeError} if it does not fit a u64. */
export const u64Bytes = (value: bigint): Uint8Array => {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}

/** The value of 8 bytes, big-endian. @throws {RangeError} if there are fewer. */
export const u64Value = (bytes: Uint8Array): bigint =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readBigUInt64BE()
