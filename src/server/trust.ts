import { create } from "@bufbuild/protobuf"
import { timestampFromDate } from "@bufbuild/protobuf/wkt"
import { AssayError, printable } from "../errors.ts"
import * as pb from "../gen/assay/v1/trust_pb.ts"
import type { Handlers } from "../rpc.ts"
import type { ImportTrustInput, NewAnchor } from "../service/import-trust.ts"
import type { AnchorRecord, ListedEk, PendingEntry } from "../service/ports.ts"
import type { Service } from "../service/service.ts"
import type { AnchorView, CrlView, IntermediateView, PageInput } from "../service/trust.ts"
import { unary } from "./unary.ts"

/** As many as an import of 1,000 anchors, 1,000 intermediates, 64 lists and 1,000 endorsement keys has, and some. */
export const TRUST_FIELDS_MAX = 12_000

const PAGE_SIZE = 100

/** Convert, call, convert. */
export const trustHandlers = (service: Service): Handlers<typeof pb.TrustService> => ({
  importTrust: unary(pb.TrustService.method.importTrust, async (request, caller) => {
    const { generation, added, changed } = await service.importTrust(importFromProto(request), caller)
    return create(pb.ImportTrustResponseSchema, {
      generation: BigInt(generation),
      added: BigInt(added),
      changed: BigInt(changed),
    })
  }),
  listAnchors: unary(pb.TrustService.method.listAnchors, async (request, caller) => {
    const purpose =
      request.purpose === pb.AnchorPurpose.UNSPECIFIED
        ? undefined
        : purposeFromProto(request.purpose, "purpose")
    const { items, next = "" } = await service.anchors({ ...pageFromProto(request), purpose }, caller)
    return create(pb.ListAnchorsResponseSchema, { anchors: items.map(anchorToProto), nextPageToken: next })
  }),
  getAnchor: unary(pb.TrustService.method.getAnchor, async ({ id }, caller) => {
    const anchor = await service.anchor(id, caller)
    return create(pb.GetAnchorResponseSchema, {
      anchor: anchorToProto(anchor),
      certificate: anchor.certificate,
    })
  }),
  listIntermediates: unary(pb.TrustService.method.listIntermediates, async (request, caller) => {
    const { items, next = "" } = await service.intermediates(pageFromProto(request), caller)
    return create(pb.ListIntermediatesResponseSchema, {
      intermediates: items.map(intermediateToProto),
      nextPageToken: next,
    })
  }),
  listCrls: unary(pb.TrustService.method.listCrls, async (request, caller) => {
    const { items, next = "" } = await service.crls(pageFromProto(request), caller)
    return create(pb.ListCrlsResponseSchema, { crls: items.map(crlToProto), nextPageToken: next })
  }),
  listEks: unary(pb.TrustService.method.listEks, async (request, caller) => {
    const { items, next = "" } = await service.listedEks(pageFromProto(request), caller)
    return create(pb.ListEksResponseSchema, { eks: items.map(ekToProto), nextPageToken: next })
  }),
  removeTrust: unary(pb.TrustService.method.removeTrust, async (request, caller) => {
    const { id, generation } = await service.removeTrust(request.id, caller)
    return create(pb.RemoveTrustResponseSchema, { id, generation: BigInt(generation) })
  }),
  listPendingIssuers: unary(pb.TrustService.method.listPendingIssuers, async (_request, caller) => {
    const issuers = await service.pendingIssuers(caller)
    return create(pb.ListPendingIssuersResponseSchema, { issuers: issuers.map(pendingToProto) })
  }),
  getPendingIssuer: unary(pb.TrustService.method.getPendingIssuer, async ({ id }, caller) => {
    const issuer = await service.pendingIssuer(id, caller)
    return create(pb.GetPendingIssuerResponseSchema, {
      issuer: pendingToProto(issuer),
      chain: [...issuer.chain],
    })
  }),
  dismissPendingIssuer: unary(pb.TrustService.method.dismissPendingIssuer, async ({ id }, caller) =>
    create(pb.DismissPendingIssuerResponseSchema, await service.dismissIssuer(id, caller)),
  ),
  getTrustState: unary(pb.TrustService.method.getTrustState, async (_request, caller) => {
    const state = await service.trustState(caller)
    return create(pb.GetTrustStateResponseSchema, {
      generation: BigInt(state.generation),
      anchors: BigInt(state.anchors),
      intermediates: BigInt(state.intermediates),
      eks: BigInt(state.eks),
      pendingIssuers: BigInt(state.pendingIssuers),
      crls: BigInt(state.crls),
    })
  }),
})

/**
 * Copies what is kept: bytes of a message are views on the buffer that it was received in.
 *
 * @throws {AssayError} FIELD.
 */
const importFromProto = ({ anchors, intermediates, crls, eks }: pb.ImportTrustRequest): ImportTrustInput => ({
  anchors: anchors.map(anchorFromProto),
  intermediates: intermediates.map(({ certificate }) => certificate.slice()),
  crls: crls.map(({ crl }) => crl.slice()),
  eks: eks.map(({ digest, label }) => ({ digest: digest.slice(), label })),
})

const anchorFromProto = (anchor: pb.NewAnchor, index: number): NewAnchor => ({
  certificate: anchor.certificate.slice(),
  label: anchor.label,
  purpose: purposeFromProto(anchor.purpose, `anchors[${index}].purpose`),
  revocation: revocationFromProto(anchor.revocation, `anchors[${index}].revocation`),
  provenance: anchor.provenance,
})

/** What the rules of the schema exclude, and the types do not. */
const absent = (location: string): AssayError =>
  new AssayError("FIELD", `${location}: value is required`, { location })

function purposeFromProto(purpose: pb.AnchorPurpose, location: string): AnchorRecord["purpose"] {
  switch (purpose) {
    case pb.AnchorPurpose.EK:
      return "ek"
    case pb.AnchorPurpose.AK:
      return "ak"
    case pb.AnchorPurpose.ANY:
      return "any"
    default:
      throw absent(location)
  }
}

function revocationFromProto(mode: pb.AnchorRevocation, location: string): AnchorRecord["revocation"] {
  switch (mode) {
    case pb.AnchorRevocation.REQUIRE:
      return "require"
    case pb.AnchorRevocation.WHEN_PUBLISHED:
      return "when-published"
    case pb.AnchorRevocation.OFF:
      return "off"
    default:
      throw absent(location)
  }
}

const PURPOSE: Readonly<Record<AnchorRecord["purpose"], pb.AnchorPurpose>> = {
  ek: pb.AnchorPurpose.EK,
  ak: pb.AnchorPurpose.AK,
  any: pb.AnchorPurpose.ANY,
}

const REVOCATION: Readonly<Record<AnchorRecord["revocation"], pb.AnchorRevocation>> = {
  require: pb.AnchorRevocation.REQUIRE,
  "when-published": pb.AnchorRevocation.WHEN_PUBLISHED,
  off: pb.AnchorRevocation.OFF,
}

const pageFromProto = (page: { readonly pageSize: number; readonly pageToken: string }): PageInput => ({
  max: page.pageSize === 0 ? PAGE_SIZE : page.pageSize,
  after: page.pageToken === "" ? undefined : page.pageToken,
})

const anchorToProto = (anchor: AnchorView): pb.Anchor =>
  create(pb.AnchorSchema, {
    id: anchor.id,
    label: anchor.label,
    purpose: PURPOSE[anchor.purpose],
    revocation: REVOCATION[anchor.revocation],
    provenance: anchor.provenance,
    subject: printable(anchor.subject),
    notBefore: timestampFromDate(anchor.notBefore),
    notAfter: timestampFromDate(anchor.notAfter),
    createTime: timestampFromDate(anchor.addedAt),
  })

const intermediateToProto = (intermediate: IntermediateView): pb.Intermediate =>
  create(pb.IntermediateSchema, {
    id: intermediate.id,
    source: printable(intermediate.source),
    subject: printable(intermediate.subject),
    issuer: printable(intermediate.issuer),
    notAfter: timestampFromDate(intermediate.notAfter),
    createTime: timestampFromDate(intermediate.addedAt),
  })

const ekToProto = ({ digest, label, addedAt }: ListedEk): pb.ListedEk =>
  create(pb.ListedEkSchema, { digest, label, createTime: timestampFromDate(addedAt) })

const pendingToProto = (issuer: PendingEntry): pb.PendingIssuer =>
  create(pb.PendingIssuerSchema, {
    id: issuer.id,
    issuer: printable(issuer.issuer),
    firstSeenTime: timestampFromDate(issuer.firstSeenAt),
    lastSeenTime: timestampFromDate(issuer.lastSeenAt),
    count: BigInt(issuer.count),
  })

const crlToProto = (crl: CrlView): pb.Crl =>
  create(pb.CrlSchema, {
    id: crl.id,
    source: printable(crl.source),
    issuer: printable(crl.issuer),
    thisUpdate: timestampFromDate(crl.thisUpdate),
    ...(crl.nextUpdate && { nextUpdate: timestampFromDate(crl.nextUpdate) }),
    entries: BigInt(crl.entries),
  })
