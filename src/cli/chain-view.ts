/** What `assay check chain` answers, in both forms. The JSON is stable: its help describes it. */

import { toHex } from "../bytes.ts"
import type { AssayError } from "../errors.ts"
import { type Certificate, certificateText, fingerprintOf } from "../evidence/x509/certificate.ts"
import type { Deviation } from "../evidence/x509/der.ts"
import { nameText } from "../evidence/x509/name.ts"
import type { ChainCheck } from "../service/check-chain.ts"
import type { ChainOptions } from "../verification/chain.ts"
import type { RevocationStatus } from "../verification/revocation.ts"
import type { TpmIdentity } from "../verification/tpm-identity.ts"
import { errorJson, fieldLines, type Paint, tableLines } from "./output.ts"

/** The answer. What is not known of a path that was refused is null, or an empty list. */
export const chainJson = (result: ChainCheck, { purpose, at }: ChainOptions) => {
  const { accepted, error, path, ignored, deviations } = result
  return {
    accepted,
    code: error?.code ?? null,
    error: error === undefined ? null : errorJson(error),
    path: pathOf(result).map(({ certificate, also }) => linkJson(certificate, also)),
    anchor: path === undefined ? null : anchorJson(path.anchor.certificate),
    purpose,
    at: at.toISOString(),
    tpm: path?.tpm === undefined ? null : tpmJson(path.tpm),
    policies: path?.policies ?? null,
    revocation: (path?.revocation ?? []).map(revocationJson),
    deviations: [...new Set(deviations)],
    expired: path?.expired ?? false,
    // Of a leaf that has expired there is no until.
    validUntil: path === undefined || path.expired ? null : path.validUntil.toISOString(),
    ignored: ignored.map(({ label, error: { code, message } }) => ({ file: label, code, message })),
  }
}

interface Link {
  readonly certificate: Certificate
  /** Deviations of what the certificate came in. */
  readonly also: readonly Deviation[]
}

/** The leaf first, the anchor last. */
const pathOf = ({ path, leaf, deviations }: ChainCheck): readonly Link[] => {
  if (path === undefined) return []
  const wrapping = deviations.filter((deviation) => !path.deviations.includes(deviation))
  return [...path.certificates, path.anchor.certificate].map((certificate) => ({
    certificate,
    also: certificate === leaf ? wrapping : [],
  }))
}

const linkJson = (certificate: Certificate, also: readonly Deviation[]) => ({
  subject: nameText(certificate.subject),
  issuer: nameText(certificate.issuer),
  serialNumber: toHex(certificate.serialNumber),
  sha256: fingerprintOf(certificate),
  notBefore: timeText(certificate.notBefore),
  notAfter: timeText(certificate.notAfter),
  deviations: [...also, ...certificate.deviations],
})

const anchorJson = (certificate: Certificate) => ({
  subject: nameText(certificate.subject),
  sha256: fingerprintOf(certificate),
})

const tpmJson = ({
  manufacturer,
  vendor,
  model,
  version,
  specification,
  securityAssertions,
}: TpmIdentity) => ({
  manufacturer,
  vendor: vendor ?? null,
  model,
  version,
  specification: specification ?? null,
  securityAssertions: securityAssertions ?? null,
})

const revocationJson = (status: RevocationStatus) => ({
  certificate: status.certificate,
  sha256: status.fingerprint,
  status: status.status,
  crlNumber: status.crlNumber ?? null,
  thisUpdate: status.thisUpdate?.toISOString() ?? null,
  nextUpdate: status.nextUpdate?.toISOString() ?? null,
})

/** An instant as certificates have it. */
export const timeText = (time: number): string => new Date(time).toISOString().replace(".000Z", "Z")

/** The answer for people. */
export const chainTable = (
  result: ChainCheck,
  { purpose, at }: ChainOptions,
  paint: Paint,
): readonly string[] => {
  const { accepted, error, path, deviations, ignored } = result
  const unchecked = path?.revocation.some(({ status }) => status !== "good") === true
  return [
    accepted ? paint.good("accepted") : paint.bad(`refused: ${error?.code ?? ""}`),
    ...(path?.expired === true ? [paint.warn("the leaf is past its notAfter")] : []),
    ...(unchecked ? [paint.warn("not every certificate's revocation was looked up")] : []),
    ...(error === undefined ? [] : ["", ...errorLines(error)]),
    "",
    ...fieldLines([
      ["purpose", purpose],
      ["at", at.toISOString()],
      ["valid until", path?.expired === false ? path.validUntil.toISOString() : undefined],
      ["manufacturer", path?.tpm && `${path.tpm.manufacturer} ${path.tpm.vendor ?? "(not of the registry)"}`],
      ["model", path?.tpm?.model],
      ["firmware", path?.tpm?.version],
      ["policies", path && (path.policies === undefined ? "any" : path.policies.join(" ") || "none")],
      ["deviations", deviations.length === 0 ? undefined : [...new Set(deviations)].join(" ")],
    ]),
    ...(path === undefined ? [] : ["", ...pathLines(result, path.revocation)]),
    ...(ignored.length === 0 ? [] : ["", paint.warn("left out:")]),
    ...fieldLines(
      ignored.map(({ label, error: { code, message } }) => [label, `${code}: ${message}`] as const),
    ),
  ]
}

const errorLines = ({ message, location, expected, actual }: AssayError): string[] => [
  message,
  ...fieldLines([
    ["  where", location],
    ["  expected", expected],
    ["  found", actual],
  ]),
]

const pathLines = (result: ChainCheck, revocation: readonly RevocationStatus[]): string[] =>
  tableLines(
    ["", "certificate", "not before", "not after", "revocation"],
    pathOf(result).map(({ certificate }, i, { length }) => [
      i === length - 1 ? "anchor" : i === 0 ? "leaf" : "CA",
      certificateText(certificate),
      timeText(certificate.notBefore),
      timeText(certificate.notAfter),
      revocation[i]?.status ?? "",
    ]),
  )
