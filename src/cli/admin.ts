/** What the commands of operators share. */
import type { Command } from "commander"
import { toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { Policy } from "../gen/assay/v1/admin_pb.ts"
import type { CommandContext } from "./command.ts"
import { adminAddress } from "./input.ts"
import type { AdminCalls } from "./parts.ts"
import { reachOf, type ServerOptions, withServerOptions } from "./server-options.ts"

/** The options of every command of an operator. */
export interface AdminOptions extends ServerOptions {
  readonly admin?: string
}

/** Adds the options that say where the server is. */
export const withAdminOption = (command: Command): Command =>
  withServerOptions(
    command.option(
      "--admin <ADDRESS>",
      "administration socket, or host:port (ASSAY_ADMIN; default: unix:.assay/admin.sock)",
    ),
  ).option("--credential <FILE>", "the secret that says who you are, over another way than the socket")

/** What `act` gives, over a connection that is closed afterwards. */
export const withAdmin = async <T>(
  { parts, io }: CommandContext,
  options: AdminOptions,
  act: (client: AdminCalls) => Promise<T>,
): Promise<T> => {
  const address = adminAddress(options.admin, io)
  const client = await parts.adminClient(address, await reachOf(address, options, io))
  try {
    return await act(client)
  } catch (error) {
    if (error instanceof AssayError && error.code === "NO_ANSWER")
      throw new AssayError("NO_ANSWER", "no answer from the server: is `assay serve` running?", {
        location: address,
        cause: error,
      })
    throw error
  } finally {
    client.close()
  }
}

/** The resource that an answer has to carry. @throws {AssayError} INTERNAL. */
export const present = <T>(resource: T | undefined): T => {
  if (resource === undefined)
    throw new AssayError("INTERNAL", "the server answered without what was asked for")
  return resource
}

/** A policy, without its document. */
export const policyJson = ({ name, revision, digest }: Policy) => ({
  name,
  revision: Number(revision),
  digest: toHex(digest),
})
