import { type ChannelCredentials, credentials } from "@grpc/grpc-js"
import { AssayError } from "../errors.ts"
import { parseAddress } from "../rpc.ts"

/** How a server proves who it is, and the caller to it. All in PEM. */
export interface TlsOptions {
  /** Whom the server's certificate has to lead to. Without it, the authorities that Node trusts. */
  readonly ca?: Uint8Array
  /** The caller's own certificate, its issuers' after it, with its key: both or neither. */
  readonly certificate?: Uint8Array
  readonly key?: Uint8Array
}

/** Where a channel leads, as grpc-js spells it, and how it is protected. */
export interface Target {
  readonly target: string
  readonly credentials: ChannelCredentials
}

const HOST = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/i
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/

/**
 * A channel to `address`: with TLS to `host:port`, where host is a DNS name; without it in plaintext to this machine alone,
 * see `parseAddress`. An address in numbers is no name, and grpc-js cannot ask for a certificate of one.
 *
 * @throws {AssayError} INPUT for another address, for a certificate without its key, and for what is no PEM.
 */
export function channelTo(address: string, tls: TlsOptions | undefined): Target {
  if (tls === undefined)
    return { target: parseAddress(address).target, credentials: credentials.createInsecure() }
  return { target: targetOf(address), credentials: secure(tls) }
}

const targetOf = (address: string): string => {
  const [, host = "", digits = ""] = /^([^:[\]]+):([1-9]\d{0,4})$/.exec(address) ?? []
  if (HOST.test(host) && !IPV4.test(host) && Number(digits) <= 65535) return `dns:${host}:${digits}`
  throw new AssayError("INPUT", `${address} is not an address of a server with TLS`, {
    location: "address",
    expected: "a name and a port, as assay.example:7443: it is names that TLS proves",
    actual: address,
  })
}

const secure = ({ ca, certificate, key }: TlsOptions): ChannelCredentials => {
  const pem = (bytes: Uint8Array | undefined): Buffer | null =>
    bytes === undefined ? null : Buffer.from(bytes)
  try {
    return credentials.createSsl(pem(ca), pem(key), pem(certificate))
  } catch (cause) {
    throw new AssayError(
      "INPUT",
      "the certificates and the key are not PEM, do not belong together, or one is missing",
      {
        location: "tls",
        cause,
      },
    )
  }
}
