/** A device as stores kept it before a permit could name an attestation key. */
import * as assert from "uvu/assert"
import type { DeviceRecord } from "../../src/service/ports.ts"
import type { Store } from "../../src/store/store.ts"
import { afterNoon, newAct, plainDevice } from "../support/ports/samples.ts"

const filled = (bytes: number, hex: string): string => hex.repeat(bytes)

/** Adds it. The digest is what was released, over every column in its order. @param blob How an engine spells bytes in hexadecimal. */
export const releasedDevice = (blob: (hex: string) => string): string => `
INSERT INTO tenants VALUES ('default', 4);
INSERT INTO devices (tenant, id, revision, state, device_group, policy, created_at, ak_name, ek, binding, token, permit_kind,
  permit_ek, permit_expires_at, claimed_name, labels, digest, qualified_name, ak_public, ek_digest, ek_certificate_chain,
  ak_certificate_chain)
VALUES ('default', 'device-1', 4, 'active', 'edge', NULL, 1000, ${blob(filled(34, "11"))}, NULL, 'certificate', 't-1', 'board-swap',
  ${blob(filled(32, "22"))}, 5000, 'vm-12', '[["site","north"]]',
  ${blob("fa16abba6fd576ac5111acd43a5b4b01e82f60377a4c1b7e9d3092c41c802c74")}, ${blob(filled(34, "33"))},
  ${blob("44444444")}, NULL, NULL, ${blob("0000000155")})`

const RELEASED: DeviceRecord = {
  tenant: "default",
  id: "device-1",
  revision: 4,
  state: "active",
  group: "edge",
  labels: new Map([["site", "north"]]),
  claimedName: "vm-12",
  policy: undefined,
  createdAt: new Date(1000),
  akPublic: new Uint8Array(4).fill(0x44),
  akName: new Uint8Array(34).fill(0x11),
  qualifiedName: new Uint8Array(34).fill(0x33),
  ek: undefined,
  binding: "certificate",
  endorsement: {
    ekCertificateChain: [],
    akCertificateChain: [Uint8Array.of(0x55)],
    ekDigest: undefined,
  },
  token: "t-1",
  permit: { kind: "board-swap", ek: new Uint8Array(32).fill(0x22), expiresAt: new Date(5000) },
  counters: undefined,
  lastResult: undefined,
}

/** It is there as it was, and can be given what is new. */
export const checkReleased = async ({
  registry,
  devices,
}: Pick<Store, "registry" | "devices">): Promise<void> => {
  assert.equal(plainDevice(await registry.device("default", "device-1")), plainDevice(RELEASED))
  const permit = {
    kind: "ak-rotation",
    akName: new Uint8Array(34).fill(0x66),
    expiresAt: afterNoon(1),
  } as const
  const act = newAct("permit-ak-rotation")
  await devices.change("default", "device-1", 4, { permit: { granted: permit } }, act)
  assert.equal(plainDevice(await registry.device("default", "device-1")), {
    ...plainDevice({ ...RELEASED, permit }),
    revision: 5,
  })
}
