/** CAs, servers and clients for TLS, made byte by byte, and a connection as a client with any of them makes it. */
import { writeFileSync } from "node:fs"
import { type Client, credentials, Metadata } from "@grpc/grpc-js"
import { fromBuffer } from "../../src/rpc.ts"
import {
  basicConstraints,
  type CertificateParts,
  caExtensions,
  cn,
  dns,
  extKeyUsage,
  ip,
  type Keys,
  keyUsage,
  makeCertificate,
  p256Keys,
  seq,
  subjectAltName,
  time,
  uri,
} from "./x509.ts"

export const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2"
export const SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
export const ANY_EKU = "2.5.29.37.0"

/** A certificate with its key. */
export interface Holder {
  readonly der: Uint8Array
  readonly keys: Keys
}

/** Something that issues certificates. */
export interface Authority extends Holder {
  readonly name: Uint8Array
}

export const pem = (...ders: readonly Uint8Array[]): string =>
  ders
    .map(
      (der) =>
        `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString("base64")}\n-----END CERTIFICATE-----\n`,
    )
    .join("")

export const keyPem = ({ keys }: Holder): string =>
  String(keys.privateKey.export({ type: "pkcs8", format: "pem" }))

/** A root of its own, or a CA below another. */
export const makeAuthority = (
  text: string,
  parent?: Authority,
  changed: Partial<CertificateParts> = {},
  keys = p256Keys(),
): Authority => {
  const name = cn(text)
  const der = makeCertificate(keys, parent?.keys ?? keys, name, parent?.name ?? name, caExtensions(), changed)
  return { der, keys, name }
}

/** Extensions of a client's certificate with these alternative names. */
export const clientExtensions = (
  names: readonly Uint8Array[],
  ...purposes: readonly string[]
): readonly Uint8Array[] => [
  basicConstraints(false),
  keyUsage(0),
  extKeyUsage(...(purposes.length === 0 ? [CLIENT_AUTH] : purposes)),
  ...(names.length === 0 ? [] : [subjectAltName(names)]),
]

/** A client's certificate of `authority` with one SPIFFE id, unless it is made otherwise. */
export const makeClient = (
  authority: Authority,
  id = "spiffe://acme.example/gateway",
  changed: Partial<CertificateParts> = {},
  keys = CLIENT_KEYS,
): Holder => ({
  der: makeCertificate(
    keys,
    authority.keys,
    cn("client"),
    authority.name,
    clientExtensions([uri(id)]),
    changed,
  ),
  keys,
})

/** Making keys is what takes the time; what a certificate says is what tells clients apart. */
export const CLIENT_KEYS = p256Keys()
const SERVER_KEYS = p256Keys()

/** A server's certificate for localhost and 127.0.0.1. */
export const makeServerCertificate = (
  authority: Authority,
  changed: Partial<CertificateParts> = {},
  keys = SERVER_KEYS,
): Holder => ({
  der: makeCertificate(
    keys,
    authority.keys,
    cn("server"),
    authority.name,
    [
      basicConstraints(false),
      keyUsage(0),
      extKeyUsage(SERVER_AUTH),
      subjectAltName([dns("localhost"), ip(127, 0, 0, 1)]),
    ],
    changed,
  ),
  keys,
})

export const validity = (from: string, to: string): Uint8Array =>
  seq(time(new Date(from)), time(new Date(to)))

/** What everybody at one table shares. */
export const SERVER_AUTHORITY = makeAuthority("Server CA")
export const SERVER = makeServerCertificate(SERVER_AUTHORITY)

/** Writes a server's certificate and key into a folder. Gives where they are. */
export const writeServer = (folder: string, server = SERVER, name = "server") => {
  const files = { certificate: `${folder}/${name}.pem`, key: `${folder}/${name}.key` }
  writeFileSync(files.certificate, pem(server.der))
  writeFileSync(files.key, keyPem(server), { mode: 0o600 })
  return files
}

/** Writes CAs into a file of a folder. Gives its path. */
export const writeAuthorities = (folder: string, name: string, ...authorities: readonly Holder[]): string => {
  const path = `${folder}/${name}.pem`
  writeFileSync(path, pem(...authorities.map(({ der }) => der)))
  return path
}

/** How grpc-js connects as a client with a certificate, or without one. */
export const clientCredentials = (client?: Holder, ...chain: readonly Holder[]) => {
  const root = Buffer.from(pem(SERVER_AUTHORITY.der))
  if (client === undefined) return credentials.createSsl(root)
  const certificate = Buffer.from(pem(client.der, ...chain.map(({ der }) => der)))
  return credentials.createSsl(root, Buffer.from(keyPem(client)), certificate)
}

/** One call with an empty message. Gives the answer's bytes, or throws grpc-js' error. */
export const rawUnary = (client: Client, path: string, metadata = new Metadata()): Promise<Uint8Array> => {
  const same = (buffer: Buffer): Buffer => buffer
  const options = { deadline: Date.now() + 5000 }
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, same, same, Buffer.alloc(0), metadata, options, (error, answer) => {
      if (error) reject(error)
      else resolve(fromBuffer(answer ?? Buffer.alloc(0)))
    })
  })
}
