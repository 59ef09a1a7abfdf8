import { AssayError } from "../errors.ts"
import type { Deviation } from "../evidence/x509/der.ts"
import { unwrapNv } from "../evidence/x509/nv.ts"

/**
 * Files that hold certificates or CRLs, in the forms that people have them in. Only the wrapping is read here, strictly:
 * half of a file is never taken for all of it. What is inside is for the parsers to judge.
 */

/** What is looked for in a file. */
export type FileKind = "certificate" | "crl"

/** One certificate or CRL out of a file. */
export interface FileItem {
  /** The file's name, with the number of the block if there are several: `roots.pem[2]`. */
  readonly label: string
  readonly der: Uint8Array
}

const PEM_LABEL: Readonly<Record<FileKind, string>> = { certificate: "CERTIFICATE", crl: "X509 CRL" }

/**
 * Everything of one kind in a file: PEM with any number of blocks, text and blocks of other kinds between them, or one
 * certificate or CRL in DER.
 *
 * @param name Names the file in labels and errors.
 * @param blocksMax For what is not a file of our own: blocks of any kind that there may be.
 * @throws {AssayError} INPUT for PEM without a block of this kind, with one that does not end or is no base64 in its one
 *   spelling, with too many, and for text without any.
 * @see RFC 7468, 3.
 */
export function readItems(
  bytes: Uint8Array,
  name: string,
  kind: FileKind,
  blocksMax = Number.POSITIVE_INFINITY,
): readonly FileItem[] {
  const text = pemTextOf(bytes)
  if (text === undefined) return [{ label: name, der: bytes }]
  const label = PEM_LABEL[kind]
  const bodies: string[] = []
  const others = new Set<string>()
  let count = 0
  for (const block of readPem(text, name)) {
    if (++count > blocksMax) throw pemError(name, "too many blocks", { expected: `at most ${blocksMax}` })
    if (block.label === label) bodies.push(block.body)
    else if (others.size < OTHERS_MAX) others.add(block.label)
  }
  if (bodies.length === 0)
    throw pemError(name, `no block of the kind ${label}`, {
      expected: label,
      actual: [...others].join(", ") || "no block",
    })
  return bodies.map((body, i) => {
    const itemLabel = bodies.length === 1 ? name : `${name}[${i + 1}]`
    return { label: itemLabel, der: decode(body, itemLabel) }
  })
}

/** The one certificate of a file, and what was around it. */
export interface LeafItem extends FileItem {
  readonly deviations: readonly Deviation[]
}

/**
 * The one certificate of a file.
 *
 * @param mayBeNv Whether it may be what an NV index of a TPM holds; see `unwrapNv`.
 * @throws {AssayError} TRAILING for PEM with more than one; as `readItems`, and with `mayBeNv` as `unwrapNv`.
 */
export function readLeaf(bytes: Uint8Array, name: string, mayBeNv: boolean): LeafItem {
  const [item = { label: name, der: bytes }, ...more] = readItems(bytes, name, "certificate")
  if (more.length > 0)
    throw new AssayError("TRAILING", `${name} holds ${more.length + 1} certificates`, {
      location: name,
      expected: "the leaf alone; what is above it is for --intermediates",
      actual: `${more.length + 1} blocks`,
    })
  const isRaw = item.der === bytes
  return mayBeNv && isRaw ? { label: name, ...unwrapNv(bytes) } : { ...item, deviations: [] }
}

interface PemBlock {
  readonly label: string
  /** Lines of base64, as they stand in the file. */
  readonly body: string
}

/** Kinds of blocks that an error names. */
const OTHERS_MAX = 8
const BYTE_ORDER_MARK = "\u00ef\u00bb\u00bf"
const DER_SEQUENCE = 0x30
const MARKER = "-----BEGIN "
const ASCII_TEXT = /^[\t-\r -~]*$/

/**
 * The file as text, if it is PEM or no binary at all. DER comes first: the names in it may spell whatever somebody chose,
 * and its second byte, a length over 127, is in no text that begins with a digit.
 */
const pemTextOf = (bytes: Uint8Array): string | undefined => {
  if (bytes[0] === DER_SEQUENCE && (bytes[1] ?? 0) >= 0x80) return undefined
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")
  return text.includes(MARKER) || ASCII_TEXT.test(text) ? text : undefined
}

/** What begins or ends a block, wherever it stands; and a whole line of it, which alone is one. */
const BOUNDARY = /-----(?:BEGIN|END)/g
const BOUNDARY_LINE = /-----(BEGIN|END) ([A-Z0-9 ]{1,64})-----[ \t]{0,64}(?=[\r\n]|$)/y
const SHOWN_MAX = 80

/**
 * The blocks of a file. It jumps from boundary to boundary and looks at nothing between them, so that a file costs what its
 * bytes cost, however many lines they make: it may be what a stranger's server answered.
 */
function* readPem(text: string, name: string): Generator<PemBlock> {
  let open: { readonly label: string; readonly start: number } | undefined
  for (const { index } of text.matchAll(BOUNDARY)) {
    BOUNDARY_LINE.lastIndex = index
    const [line, what, label = ""] = (isLineStart(text, index) && BOUNDARY_LINE.exec(text)) || []
    if (line === undefined || (what === "BEGIN" ? open !== undefined : open?.label !== label))
      throw pemError(name, "a block that begins or ends where none may", {
        actual: text.slice(index, index + SHOWN_MAX),
      })
    if (open !== undefined) yield { label, body: text.slice(open.start, index) }
    open = open === undefined ? { label, start: index + line.length } : undefined
  }
  if (open !== undefined)
    throw pemError(name, "the file ends within a block: it is only half written", {
      expected: `-----END ${open.label}-----`,
    })
}

const isLineStart = (text: string, index: number): boolean =>
  index === 0 ||
  text[index - 1] === "\n" ||
  text[index - 1] === "\r" ||
  (index === BYTE_ORDER_MARK.length && text.startsWith(BYTE_ORDER_MARK))

/** Only the one spelling of some bytes, so that two readers of a file cannot see two things in it. */
const decode = (body: string, label: string): Uint8Array => {
  const text = joinLines(body)
  const bytes = Buffer.from(text ?? "", "base64")
  if (bytes.length === 0 || bytes.toString("base64") !== text)
    throw pemError(label, "a block that is no base64", {
      expected: "base64 with its padding, and nothing else",
    })
  return new Uint8Array(bytes)
}

/** Characters that lines have on average, at least; those of all tools have 64 or more. A file of line ends costs no more then. */
const LINE_CHARACTERS_MIN = 32
/** The rest of the line that begins a block, the last one, and an empty one before and behind. */
const SHORT_LINES_MAX = 4

/** All lines as one, without the white space at their ends; nothing if there are far too many. */
const joinLines = (body: string): string | undefined => {
  const max = SHORT_LINES_MAX + Math.ceil(body.length / LINE_CHARACTERS_MIN)
  const lines = body.split(/\r\n|\n|\r/, max + 1)
  return lines.length > max ? undefined : lines.map((line) => line.trimEnd()).join("")
}

const pemError = (
  location: string,
  message: string,
  details: { readonly expected?: string; readonly actual?: string },
): AssayError => new AssayError("INPUT", `${location}: ${message}`, { location, ...details })
