/**
 * Encrypted keys that replicas share, by their names, as PEM: what the files of one machine hold otherwise. Nobody who reads
 * them has the keys without the passphrase.
 */
export interface KeyStore {
  /** @throws {AssayError} REGISTRY. */
  get(name: string): Promise<Uint8Array | undefined>
  /**
   * Keeps a key, durably, unless there is one of that name, which is then left alone.
   *
   * @returns Whether it was kept.
   * @throws {AssayError} REGISTRY.
   */
  putIfAbsent(name: string, pem: Uint8Array): Promise<boolean>
}
