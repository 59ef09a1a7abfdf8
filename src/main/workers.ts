/** How many processes serve, out of the settings, and what they are told. */
import { createSecretKey } from "node:crypto"
import { availableParallelism } from "node:os"
import type { Config } from "../config.ts"
import type { MemberUse, MemberVerdict } from "../store/engine/members.ts"
import type { SealingKey } from "../store/engine/sealing.ts"
import type { MemberKey } from "../workers/offers.ts"
import type { Known } from "./engine.ts"

/** How many serve: of `auto`, one for each core. One alone is this process. */
export const workersOf = ({ workers }: Config): number =>
  workers === "auto" ? availableParallelism() : workers

/** What a worker begins with. */
export interface WorkerBegin {
  /** As the supervisor has them, with the issuer; the passphrase too, unless it is in a file. */
  readonly config: Config
  readonly member: number
  readonly own: MemberKey
  /** Of all that live. */
  readonly keys: readonly MemberKey[]
  /** 32 bytes, that epochs are made with: the same for all. */
  readonly epoch: Uint8Array
  /** Of the key that signs tokens, as it is published: the worker has no other. */
  readonly signer: string
  /** SHA-256 of the device CA's certificate, in hex. */
  readonly deviceCa: string
  /** One that is started again goes by what the others do: the clock may have been turned since, or the store been put back. */
  readonly known: Known
}

/** What processes of one server have to do with each other. */
export interface AssayTrade {
  readonly begin: WorkerBegin
  readonly use: MemberUse
  readonly verdict: MemberVerdict
}

/** As it goes to another process. */
export const toMemberKey = ({ id, key }: SealingKey): MemberKey => ({ id, bytes: key.export() })

/** As it is used. */
export const toSealingKey = ({ id, bytes }: MemberKey): SealingKey => ({ id, key: createSecretKey(bytes) })
