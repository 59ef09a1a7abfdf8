import { hash } from "node:crypto"
import { toHex } from "../bytes.ts"
import type { Certificate } from "../evidence/x509/certificate.ts"
import type { Crl } from "../evidence/x509/crl.ts"
import { nameText } from "../evidence/x509/name.ts"
import { timeText } from "./chain-view.ts"

/** Whether another parser reads the same. Where it does not, one of the two has a fault that somebody may use. */
export type SecondOpinion = { readonly pkijs: "agrees" | "not asked" | readonly string[] }

/** pkijs takes a second for so many entries of a CRL. Beyond, it is not asked. */
const ENTRIES_MAX = 10_000

/** A fact as this parser and as the other has it. */
type Fact = readonly [name: string, ours: string, theirs: string]

/** Reads a certificate with pkijs too. Loaded only here: it takes longer than everything else of a command. */
export async function secondOpinion(certificate: Certificate): Promise<SecondOpinion> {
  const pkijs = await import("pkijs")
  return opinionOf(() => {
    const theirs = pkijs.Certificate.fromBER(exactBuffer(certificate.bytes))
    return [
      ["subject", nameText(certificate.subject), pkijsNameText(theirs.subject)],
      ["issuer", nameText(certificate.issuer), pkijsNameText(theirs.issuer)],
      ["serialNumber", toHex(certificate.serialNumber), toHex(theirs.serialNumber.valueBlock.valueHexView)],
      ["notBefore", timeText(certificate.notBefore), timeText(theirs.notBefore.value.getTime())],
      ["notAfter", timeText(certificate.notAfter), timeText(theirs.notAfter.value.getTime())],
      [
        "publicKey",
        sha256(certificate.spki),
        sha256(new Uint8Array(theirs.subjectPublicKeyInfo.toSchema().toBER())),
      ],
      [
        "extensions",
        [...certificate.present].join(" "),
        (theirs.extensions ?? []).map(({ extnID }) => extnID).join(" "),
      ],
    ]
  })
}

/** Reads a CRL with pkijs too, unless it is very long. */
export async function secondOpinionOfCrl(crl: Crl): Promise<SecondOpinion> {
  if (crl.revoked.size > ENTRIES_MAX) return { pkijs: "not asked" }
  const pkijs = await import("pkijs")
  return opinionOf(() => {
    const theirs = pkijs.CertificateRevocationList.fromBER(exactBuffer(crl.bytes))
    const listed = new Set(
      theirs.revokedCertificates?.map((one) => toHex(one.userCertificate.valueBlock.valueHexView)),
    )
    return [
      ["issuer", nameText(crl.issuer), pkijsNameText(theirs.issuer)],
      ["thisUpdate", timeText(crl.thisUpdate), timeText(theirs.thisUpdate.value.getTime())],
      [
        "nextUpdate",
        crl.nextUpdate === undefined ? "none" : timeText(crl.nextUpdate),
        theirs.nextUpdate === undefined ? "none" : timeText(theirs.nextUpdate.value.getTime()),
      ],
      ["revoked", String(crl.revoked.size), String(listed.size)],
    ]
  })
}

const opinionOf = (compare: () => readonly Fact[]): SecondOpinion => {
  try {
    const differences = compare()
      .filter(([, ours, theirs]) => ours !== theirs)
      .map(([name, ours, theirs]) => `${name}: ${ours} here, ${theirs} there`)
    return { pkijs: differences.length === 0 ? "agrees" : differences }
  } catch (error) {
    return { pkijs: [`cannot read it: ${error instanceof Error ? error.message : "unknown"}`] }
  }
}

/** pkijs takes the whole of a buffer, and may keep it. */
const exactBuffer = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer

const sha256 = (bytes: Uint8Array): string => hash("sha256", bytes, "hex")

interface PkijsName {
  readonly typesAndValues: readonly {
    readonly type: string
    readonly value: { readonly valueBlock: { readonly value?: unknown } }
  }[]
}

const pkijsNameText = ({ typesAndValues }: PkijsName): string =>
  nameText({
    keys: [],
    key: "",
    attributes: typesAndValues.map(({ type, value }) => ({ type, text: String(value.valueBlock.value) })),
  })
