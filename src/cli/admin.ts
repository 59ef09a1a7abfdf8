/** What the commands over the administration socket share. */
import type { Command } from "commander"
import { toHex } from "../bytes.ts"
import { AssayError } from "../errors.ts"
import type { Policy } from "../gen/assay/v1/admin_pb.ts"
import type { Device } from "../gen/assay/v1/device_pb.ts"
import type { CommandContext } from "./command.ts"
import { adminAddress } from "./input.ts"
import type { AdminCalls } from "./parts.ts"

/** The options of every command over the socket. */
export interface AdminOptions {
  readonly admin?: string
}

/** Adds the option that says where the server is. */
export const withAdminOption = (command: Command): Command =>
  command.option("--admin <ADDRESS>", "administration socket (ASSAY_ADMIN; default: unix:.assay/admin.sock)")

/** What `act` gives, over a connection that is closed afterwards. */
export const withAdmin = async <T>(
  { parts, io }: CommandContext,
  { admin }: AdminOptions,
  act: (client: AdminCalls) => Promise<T>,
): Promise<T> => {
  const address = adminAddress(admin, io)
  const client = parts.adminClient(address)
  try {
    return await act(client)
  } catch (error) {
    if (error instanceof AssayError && error.code === "NO_ANSWER")
      throw new AssayError(
        "NO_ANSWER",
        "no answer from the administration socket: is `assay serve` running?",
        {
          location: address,
          cause: error,
        },
      )
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

/** A device. */
export const deviceJson = ({ id, akName, revision, policy, createTime }: Device) => ({
  id,
  akName: toHex(akName),
  revision: Number(revision),
  policy: policy === "" ? null : policy,
  createdAt: createTime === undefined ? null : new Date(Number(createTime.seconds) * 1000).toISOString(),
})

/** A policy, without its document. */
export const policyJson = ({ name, revision, digest }: Policy) => ({
  name,
  revision: Number(revision),
  digest: toHex(digest),
})
