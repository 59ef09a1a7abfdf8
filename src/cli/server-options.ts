/** How every command that calls a server reaches it: where, over which TLS, and as whom. */
import type { Command } from "commander"
import { AssayError } from "../errors.ts"
import { parseAddress } from "../rpc.ts"
import { readInput, readText } from "./input.ts"
import type { CliIo, Reach } from "./parts.ts"

/** The options that say so, beside the address. Each is a file. */
export interface ServerOptions {
  readonly tlsCa?: string
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly credential?: string
  readonly enrollmentToken?: string
}

/** Adds the options of TLS. */
export const withServerOptions = (command: Command): Command =>
  command
    .option(
      "--tls-ca <FILE>",
      "whom the server's certificate has to lead to, PEM (default: whom Node trusts)",
    )
    .option("--tls-cert <FILE>", "your own certificate, its issuers' after it, PEM")
    .option("--tls-key <FILE>", "its key, PEM")

/**
 * How the server at `address` is reached. An address of this machine is called in plaintext unless there is an option of TLS,
 * any other never.
 *
 * @throws {AssayError} INPUT, LENGTH.
 */
export async function reachOf(address: string, options: ServerOptions, io: CliIo): Promise<Reach> {
  const { tlsCa, tlsCert, tlsKey, credential, enrollmentToken } = options
  if (credential !== undefined && enrollmentToken !== undefined)
    throw new AssayError("INPUT", "a credential and an enrollment token: which of the two?", {
      location: "--enrollment-token",
      expected: "one of them",
    })
  const secret = credential === undefined ? "--enrollment-token" : "--credential"
  if (tlsCert !== undefined && (credential ?? enrollmentToken) !== undefined)
    throw new AssayError("INPUT", `${secret} and --tls-cert both say who you are: which of the two?`, {
      location: secret,
      expected: "one of them",
    })
  const named = [tlsCa, tlsCert, tlsKey].some((file) => file !== undefined)
  const file = credential ?? enrollmentToken
  return {
    ...(file !== undefined && { credential: await readSecret(file, io) }),
    ...((named || !isLocal(address)) && {
      tls: {
        ...(tlsCa !== undefined && { ca: await readInput(tlsCa, io) }),
        ...(tlsCert !== undefined && { certificate: await readInput(tlsCert, io) }),
        ...(tlsKey !== undefined && { key: await readInput(tlsKey, io) }),
      },
    }),
  }
}

const isLocal = (address: string): boolean => {
  try {
    parseAddress(address)
    return true
  } catch (error) {
    if (error instanceof AssayError) return false
    throw error
  }
}

/** A file with a secret alone, or what `assay enrollment-token create -o json` wrote. @throws {AssayError} INPUT, LENGTH. */
const readSecret = async (file: string, io: CliIo): Promise<string> => {
  const text = (await readText(file, io)).trim()
  const secret = text.startsWith("{") ? secretIn(text) : text
  if (secret !== undefined && secret !== "") return secret
  throw new AssayError("INPUT", `${file} holds no secret`, {
    location: file,
    expected: "a secret alone, or what `assay enrollment-token create` wrote",
  })
}

const secretIn = (text: string): string | undefined => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof json !== "object" || json === null || !("secret" in json)) return undefined
  return typeof json.secret === "string" ? json.secret : undefined
}
