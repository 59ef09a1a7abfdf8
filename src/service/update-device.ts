import { AssayError } from "../errors.ts"
import { actOf } from "./act.ts"
import { askedDigest, labelParts } from "./asked.ts"
import type { Change, ChangeInput } from "./change-device.ts"
import type { DeviceView } from "./device-view.ts"
import type { Caller, DeviceRecord, Ports } from "./ports.ts"

/** What an operator says anew about a device. What the mask does not name is empty. */
export interface UpdateDeviceInput extends ChangeInput {
  /** `group`, `labels`, `policy`, and `labels.KEY` for one label. */
  readonly mask: readonly string[]
  /** Empty for none. */
  readonly group: string
  readonly labels: ReadonlyMap<string, string>
  /** Empty for none. */
  readonly policy: string
}

const LABELS_MAX = 32
const LABEL = "labels."
const FIELDS: readonly string[] = ["group", "labels", "policy"]
const KEY = /^[a-z0-9][a-z0-9._-]{0,62}$/

/**
 * Changes a device's group, labels and policy, as far as the mask names them. A label that the mask names and that has no
 * value is taken away. What is given beside the mask is refused: it would have been forgotten.
 *
 * @throws {AssayError} FIELD; DEVICE_NOT_FOUND, POLICY_NOT_FOUND; ETAG; REGISTRY, JOURNAL.
 */
export const createUpdateDevice =
  (ports: Ports, change: Change) =>
  async (input: UpdateDeviceInput, caller: Caller): Promise<DeviceView> => {
    const { id, etag, mask, group, labels, policy } = input
    const keys = checkMask(input)
    const asked = askedDigest(id, etag, ...mask, "", group, policy, ...labelParts(labels))
    return change(input, caller, actOf(ports, caller, "update-device", asked), (device) => ({
      ...(mask.includes("group") && { group }),
      ...(mask.includes("policy") && { policy: { name: policy === "" ? undefined : policy } }),
      ...(mask.includes("labels") && { labels }),
      ...(keys.length > 0 && { labels: withLabels(device, keys, labels) }),
    }))
  }

/** The labels that the mask names one by one. @throws {AssayError} FIELD. */
const checkMask = ({ mask, group, labels, policy }: UpdateDeviceInput): readonly string[] => {
  const keys = mask.flatMap((path) => (path.startsWith(LABEL) ? [path.slice(LABEL.length)] : []))
  if (mask.length === 0) throw wrongMask("says nothing", "group, labels, labels.KEY or policy")
  if (new Set(mask).size < mask.length) throw wrongMask("names a field twice", "each field once")
  for (const path of mask)
    if (!FIELDS.includes(path) && !isLabel(path))
      throw wrongMask(`names ${path}`, "group, labels, labels.KEY or policy")
  if (keys.length > 0 && mask.includes("labels"))
    throw wrongMask("names labels and one of them", "one or the other")
  const all = mask.includes("labels")
  const beside = [
    ...(group !== "" && !mask.includes("group") ? ["group"] : []),
    ...(policy !== "" && !mask.includes("policy") ? ["policy"] : []),
    ...[...labels.keys()].filter((key) => !all && !keys.includes(key)).map((key) => `labels.${key}`),
  ]
  const [first] = beside
  if (first !== undefined)
    throw new AssayError("FIELD", `${first} is given, and not named in the mask`, {
      location: first,
      expected: "a mask that names it",
    })
  return keys
}

const isLabel = (path: string): boolean => path.startsWith(LABEL) && KEY.test(path.slice(LABEL.length))

const withLabels = (
  device: DeviceRecord,
  keys: readonly string[],
  given: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> => {
  const labels = new Map([...device.labels].filter(([key]) => !keys.includes(key)))
  for (const [key, value] of given) labels.set(key, value)
  if (labels.size > LABELS_MAX)
    throw new AssayError("FIELD", `${device.id} would have too many labels`, {
      location: "labels",
      expected: `at most ${LABELS_MAX}`,
      actual: String(labels.size),
    })
  return labels
}

const wrongMask = (fault: string, expected: string): AssayError =>
  new AssayError("FIELD", `update_mask: ${fault}`, { location: "update_mask", expected })
