import { parseCertificate } from "../evidence/x509/certificate.ts"
import { CRL_BYTES_MAX, parseCrl } from "../evidence/x509/crl.ts"
import { unwrapNv } from "../evidence/x509/nv.ts"
import { readItems } from "../service/certificate-file.ts"
import { certificateJson, crlJson } from "./certificate-view.ts"
import { readInput } from "./input.ts"
import { fieldLines, type Paint, type Report, tableLines } from "./output.ts"
import type { CliIo } from "./parts.ts"
import { type SecondOpinion, secondOpinion, secondOpinionOfCrl } from "./second-opinion.ts"

/**
 * `assay inspect certificate`: every certificate of a file, in PEM, in DER, or as an NV index of a TPM holds it. JSON has
 * the certificate itself if it is the only one, else `{"certificates": […]}`.
 *
 * @throws {AssayError} INPUT; LENGTH; as `parseCertificate` and `unwrapNv`.
 */
export const certificateReport = async (file: string, io: CliIo): Promise<Report> => {
  const bytes = await readInput(file, io)
  const items = readItems(bytes, file, "certificate")
  const shown = await Promise.all(
    items.map(async ({ label, der }) => {
      // Only a file that is no PEM can be what was read from an NV index.
      const { der: inner, deviations } = der === bytes ? unwrapNv(bytes) : { der, deviations: [] }
      const certificate = parseCertificate(inner, label)
      return { ...certificateJson(certificate, deviations), secondOpinion: await secondOpinion(certificate) }
    }),
  )
  return {
    accepted: true,
    json: shown.length === 1 ? shown[0] : { certificates: shown },
    table: (paint) => shown.flatMap((one, i) => [...(i === 0 ? [] : [""]), ...certificateLines(one, paint)]),
  }
}

type ShownCertificate = ReturnType<typeof certificateJson> & { readonly secondOpinion: SecondOpinion }

const certificateLines = (shown: ShownCertificate, paint: Paint): readonly string[] => [
  paint.warn("not verified"),
  ...fieldLines([
    ["subject", shown.subject],
    ["issuer", shown.issuer],
    ["serial number", shown.serialNumber],
    ["version", shown.version],
    ["not before", shown.notBefore],
    ["not after", shown.notAfter],
    ["public key", shown.publicKey],
    ["signed by", shown.signatureAlgorithm],
    ["SHA-256", shown.sha256],
    ["SHA-256 of key", shown.spkiSha256],
    ["deviations", shown.deviations.join(" ") || "none"],
    ["second opinion", opinionText(shown.secondOpinion)],
  ]),
  "",
  ...tableLines(
    ["extension", "critical", "value"],
    shown.extensions.map(({ oid, name, critical, value }) => [
      name ?? oid,
      critical ? "critical" : "",
      valueText(value),
    ]),
  ),
]

/**
 * `assay inspect crl`: what a CRL says, without whom it revokes, of which there may be a million.
 *
 * @throws {AssayError} INPUT; LENGTH; as `parseCrl`.
 */
export const crlReport = async (file: string, io: CliIo): Promise<Report> => {
  const items = readItems(await readInput(file, io, CRL_FILE_BYTES_MAX), file, "crl")
  const shown = await Promise.all(
    items.map(async ({ label, der }) => {
      const crl = parseCrl(der, label)
      return { ...crlJson(crl), secondOpinion: await secondOpinionOfCrl(crl) }
    }),
  )
  return {
    accepted: true,
    json: shown.length === 1 ? shown[0] : { crls: shown },
    table: (paint) => shown.flatMap((one, i) => [...(i === 0 ? [] : [""]), ...crlLines(one, paint)]),
  }
}

/** In PEM a third more, and the ends of lines. */
const CRL_FILE_BYTES_MAX = 1.5 * CRL_BYTES_MAX

type ShownCrl = ReturnType<typeof crlJson> & { readonly secondOpinion: SecondOpinion }

const crlLines = (shown: ShownCrl, paint: Paint): readonly string[] => [
  paint.warn("not verified"),
  ...fieldLines([
    ["issuer", shown.issuer],
    ["number", shown.number ?? "none"],
    ["this update", shown.thisUpdate],
    ["next update", shown.nextUpdate ?? "none"],
    ["revoked", `${shown.revoked} certificates`],
    ["signed by", shown.signatureAlgorithm],
    ["key identifier", shown.authorityKeyIdentifier ?? "none"],
    [
      "scope",
      shown.issuingDistributionPoint === null ? "complete" : JSON.stringify(shown.issuingDistributionPoint),
    ],
    ["delta", shown.delta ? "yes" : "no"],
    ["unknown critical", shown.unknownCritical.join(" ") || "none"],
    ["SHA-256", shown.sha256],
    ["deviations", shown.deviations.join(" ") || "none"],
    ["second opinion", opinionText(shown.secondOpinion)],
  ]),
]

const valueText = (value: unknown): string => {
  if (typeof value === "string") return value
  return Array.isArray(value) && value.every((one) => typeof one === "string")
    ? value.join(", ")
    : JSON.stringify(value)
}

const opinionText = ({ pkijs }: SecondOpinion): string =>
  typeof pkijs === "string" ? `pkijs: ${pkijs}` : `pkijs differs: ${pkijs.join("; ")}`
