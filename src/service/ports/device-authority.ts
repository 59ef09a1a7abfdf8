/** What a client certificate is to be issued for. */
export interface NewDeviceCertificate {
  readonly tenant: string
  readonly device: string
  /** SubjectPublicKeyInfo of the device's key, DER, which verification has vouched for. */
  readonly spki: Uint8Array
  readonly at: Date
  /** It must not be valid any longer; the authority has a limit of its own. */
  readonly notAfter: Date
}

/** A client certificate of a device. */
export interface DeviceCertificate {
  /** DER: the device's, then the authority's own. */
  readonly chain: readonly [leaf: Uint8Array, authority: Uint8Array]
  readonly notAfter: Date
}

/**
 * Issues client certificates to devices. They live so shortly that nobody has to revoke them; what is in them beside the key
 * is decided here, and none of it by the device.
 */
export interface DeviceAuthority {
  /** @throws {AssayError} SIGNER if it cannot issue, or if what it issued does not verify; RNG. */
  issue(wanted: NewDeviceCertificate): Promise<DeviceCertificate>
}
