/** How long the schema lets texts be, in bytes: what is longer need not be read to be refused. */
import { type DescField, getOption, isFieldSet } from "@bufbuild/protobuf"
import {
  type FieldRules,
  field as rulesOf,
  StringRulesSchema,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js"

/** Of a character in UTF-8. The rules count characters. */
const CHARACTER_BYTES_MAX = 4

const { maxLen, maxBytes } = StringRulesSchema.field

/** A bound that a text beyond it can be told without reading it. */
export interface TextMax {
  readonly bytes: number
  /** As the rule itself would say it. */
  readonly flaw: string
}

/** The bounds of a field that holds texts, where it has such rules. */
export interface TextRules {
  /** Of its text; in a list, of each. */
  readonly text: TextMax | undefined
  /** Of a map's keys. */
  readonly key: TextMax | undefined
  /** Of a map's values. */
  readonly value: TextMax | undefined
}

/** What the rules of a field say. */
export function textRulesOf(field: DescField): TextRules {
  const rules = getOption(field, rulesOf)
  const { type } = rules
  const items = type.case === "repeated" ? type.value.items : rules
  const { keys, values } = type.case === "map" ? type.value : { keys: undefined, values: undefined }
  return { text: maxOf(items), key: maxOf(keys), value: maxOf(values) }
}

function maxOf(rules: FieldRules | undefined): TextMax | undefined {
  if (rules?.type.case !== "string") return undefined
  const { value } = rules.type
  if (isFieldSet(value, maxBytes))
    return { bytes: Number(value.maxBytes), flaw: `must be at most ${value.maxBytes} bytes` }
  if (isFieldSet(value, maxLen))
    return {
      bytes: CHARACTER_BYTES_MAX * Number(value.maxLen),
      flaw: `must be at most ${value.maxLen} characters`,
    }
  return undefined
}
