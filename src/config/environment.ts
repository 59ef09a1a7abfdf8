/** Settings by environment variable. */
export const ENVIRONMENT: Readonly<
  Record<string, readonly [path: string, kind: "text" | "list" | "flag" | "count"]>
> = {
  ASSAY_DEVELOPMENT: ["development", "flag"],
  ASSAY_DATA: ["data", "text"],
  ASSAY_LISTEN: ["listen", "list"],
  ASSAY_WORKERS: ["workers", "count"],
  ASSAY_ADMIN: ["admin", "text"],
  ASSAY_WEB_PUBLIC: ["web.public", "text"],
  ASSAY_WEB_PRIVATE: ["web.private", "text"],
  ASSAY_ISSUER: ["issuer", "text"],
  ASSAY_KEY_FILE: ["key.file", "text"],
  ASSAY_KEY_PASSPHRASE: ["key.passphrase", "text"],
  ASSAY_KEY_PASSPHRASE_FILE: ["key.passphraseFile", "text"],
  ASSAY_STORE: ["store.kind", "text"],
  ASSAY_STORE_URL: ["store.url", "text"],
  ASSAY_STORE_URL_FILE: ["store.urlFile", "text"],
  ASSAY_ENGINE: ["engine.kind", "text"],
  ASSAY_ENGINE_URL: ["engine.url", "text"],
  ASSAY_ENGINE_URL_FILE: ["engine.urlFile", "text"],
  ASSAY_LOG_LEVEL: ["logLevel", "text"],
  ASSAY_FAULT: ["fault", "text"],
}
