/** The classes of attack on keys, certificates and trust, for docs/attacks.md. */
import type { AttackClass } from "./attacks.ts"

/** K: attestation keys and device identity. */
export const KEY_ATTACKS: readonly AttackClass[] = [
  {
    id: "K-01",
    title: "A key that is no attestation key",
    words:
      "A key that is not restricted signs anything, and one that was made outside or may leave its TPM is anybody's. Each attribute is asked for by itself, with the scheme and both hashes, before anything is answered; and again whenever the key is used, whatever the store says of it.",
  },
  {
    id: "K-02",
    title: "A key that lives in no TPM that anybody knows",
    words:
      "Certificates are public: whoever shows one has shown nothing of himself. A key becomes a device's only if the TPM of a certified or listed endorsement key opened a credential that was made for that key's Name, or if the key's own certificate leads to a trust anchor; and in each case only with a quote by the key itself.",
  },
  {
    id: "K-03",
    title: "One key that is checked, and another that is used",
    words:
      "What the first step of an enrollment checked travels sealed to the second, certificates included, and is verified there once more. The record names both keys by their digests; a chain, a list entry or an area that is of another key refuses the device when it attests.",
  },
  {
    id: "K-04",
    title: "An identity that is somebody's already",
    words:
      "Assay gives every device its id; what a device calls itself is a label. A TPM that is known cannot enroll again, nor can its keys come back beside others, one after another or at a time: one wins, and the record that was there stays as it was. Whether a key is known is told only to who has proven to hold it.",
  },
  {
    id: "K-05",
    title: "A credential that another TPM opened, or none",
    words:
      "A credential opens only in the TPM that holds both keys, and says a secret that was made for this one enrollment. The answer is compared whole and in constant time, over a transcript that names the enrollment, the tenant and both keys; another secret, another Name and another enrollment's answer are refused, and few tries are all that anybody has.",
  },
  {
    id: "K-06",
    title: "A certificate of another key",
    words:
      "The key in the certificate has to be the key that signs: the same modulus and exponent, or the same curve and point, compared as numbers. A key is known by the Name of its one encoding, so that the same key written in another way is a key that nobody registered.",
  },
  {
    id: "K-07",
    title: "Keys that are none",
    words:
      "Moduli that are zero, even, tiny or of thousands of digits, exponents that change nothing, points that are not on their curve: refused by their size and shape, before anything is computed with them, in attestation keys and in every certificate of a chain.",
  },
  {
    id: "K-08",
    title: "Keys and TPMs that are known to be broken",
    words:
      "A modulus that RSALib made is recognized by its residues. A key whose private half was published is refused by its digest, wherever it turns up. What is known of a TPM's make and firmware is a finding, and the policy says whether it refuses.",
  },
  {
    id: "K-09",
    title: "A clock, a count or a version that does not go on",
    words:
      "The first quote of a device says where its clock, its resets and its firmware stand, and from there they only go on. An earlier time of a boot, an earlier boot, a cleared TPM, more resets than one boot has, a clock that lost power and other firmware are each a finding; the first three refuse in any case, the rest as the policy says.",
  },
]

/** X: X.509. */
export const CERTIFICATE_ATTACKS: readonly AttackClass[] = [
  {
    id: "X-01",
    title: "Trust that the evidence brings along",
    words:
      "A root is trusted because an operator said so for this tenant and this purpose, and for no other reason. What a device sends helps to build a path and is never its end. Without any trust anchor nothing is verified at all.",
  },
  {
    id: "X-02",
    title: "An issuer that is no CA",
    words:
      "Whoever issues certificates says that he is a CA and that his key signs certificates, in a certificate of version 3. A device's own certificate issues nothing, however genuine it is.",
  },
  {
    id: "X-03",
    title: "More CAs than a CA allows",
    words:
      "Each CA, the trust anchor among them, may limit how many CAs follow below. The smallest limit counts; a CA that only changed its key is not counted.",
  },
  {
    id: "X-04",
    title: "A critical extension that nobody knows",
    words:
      "A critical extension says that whoever does not know it must not go on. Assay does not, wherever in the path it is and whatever its value.",
  },
  {
    id: "X-05",
    title: "A certificate for another purpose",
    words:
      "An attestation key's certificate says that it is one, by the purpose of the TCG: any purpose, an empty list and none at all are not enough. Purposes of a CA narrow everything below it.",
  },
  {
    id: "X-06",
    title: "Names that do not fit",
    words:
      "A TPM's certificate names its manufacturer, model and version, each once and in the form of the profile. Names outside of what a CA may issue for are refused, and so are two certificates of one device that name two makers.",
  },
  {
    id: "X-07",
    title: "Certificates of another time",
    words:
      "Every certificate of a path is valid at the instant of the call, both ends included, to the second. An endorsement key may be past its end if the policy bears that and its issuers were valid when it was issued.",
  },
  {
    id: "X-08",
    title: "Two algorithms for one signature",
    words:
      "A certificate names the algorithm of its signature twice, signed and unsigned. They are the same byte for byte, parameters included, or nobody knows which one was meant.",
  },
  {
    id: "X-09",
    title: "A curve of one's own",
    words:
      "Keys are on curves that are named. Parameters that are spelled out are not even read, for whoever chooses the generator chooses the private key.",
  },
  {
    id: "X-10",
    title: "Algorithms and keys that are too weak",
    words:
      "MD5 and SHA-1, RSA under 2048 bits or with a small exponent, other curves than those of NIST from 256 bits on, DSA: none of them proves anything, in any certificate of a path.",
  },
  {
    id: "X-11",
    title: "Bytes that have more than one reading",
    words:
      "Certificates are DER, and every value has one encoding. One pass over all of them comes before anything else reads them; what is tolerated of some vendors is a list, and is told with the result.",
  },
  {
    id: "X-12",
    title: "An extension twice",
    words:
      "Of two extensions of one kind each reader may take another. There is one of each, critical or not.",
  },
  {
    id: "X-13",
    title: "Serial numbers that are none",
    words: "A serial number is greater than zero and has 20 octets at most.",
  },
  {
    id: "X-14",
    title: "Bytes that do not belong",
    words:
      "A certificate ends where it says. What a TPM's NV index has around one, padding or the header of TPM 1.2, is taken off the first of a chain by rules of its own, is told, and is nothing that anything else sees.",
  },
  {
    id: "X-15",
    title: "Identifiers that overflow",
    words:
      "An arc of an object identifier is in its shortest form and fits 32 bits, so that no reader cuts a strange one off to a known one.",
  },
  {
    id: "X-16",
    title: "Depth",
    words:
      "Thirty-two levels are more than any certificate has. The walk keeps a stack of its own and ends there, in certificates, extensions and revocation lists alike.",
  },
  {
    id: "X-17",
    title: "A search without an end",
    words:
      "Signatures, candidates, certificates in a path and names under constraints come out of budgets that are set before the first costly step. Whatever a sender arranges, the search ends within 20 ms.",
  },
  {
    id: "X-18",
    title: "Issuers by the wrong name",
    words:
      "Names and key identifiers say where to look, and nothing else. Each link of a path that is accepted has a signature of its own that was checked.",
  },
  {
    id: "X-19",
    title: "What was good a moment ago",
    words:
      "A good link vouches for no other link, and a good chain for no other chain. What is remembered is only ever the same bytes under the same trust.",
  },
  {
    id: "X-20",
    title: "Revocation",
    words:
      "A certificate that a current list names is refused. Where a sure answer is asked for and none can be given, the call fails and there is no token. Nothing is fetched while a call waits.",
  },
]

/** G: the edge. */
export const EDGE_ATTACKS: readonly AttackClass[] = [
  {
    id: "G-01",
    title: "A message larger than any, on the wire or unpacked",
    words:
      "A message says how large it is before it comes, and is refused by that. What is packed counts with the most that it may unpack to, and unpacking ends there. Neither is held, whether it comes or not.",
  },
  {
    id: "G-02",
    title: "A call that is none",
    words:
      "HTTP/2 carries much that gRPC does not: other methods, schemes and content, and flags that nobody has defined. Each is looked at in what was really sent, before anybody asks who calls, and a call that is none is answered as one that is malformed.",
  },
  {
    id: "G-03",
    title: "Calls that are taken back at once",
    words:
      "Whoever opens a call and takes it back has paid for nothing and made others work. Each connection may do that as often as an honest one does in a bad hour; beyond it the connection is closed.",
    gets: "The connection is closed with GOAWAY (ENHANCE_YOUR_CALM).",
  },
  {
    id: "G-04",
    title: "Headers without an end",
    words:
      "Headers come before anybody knows who calls, and a call holds its own until it is answered. They are few and small; more of them end the call or, where HTTP/2 would have to keep on reading them, the connection.",
    gets: "The connection is closed where there is no call yet to be answered.",
  },
  {
    id: "G-05",
    title: "Frames that only cost",
    words:
      "Windows that overflow, pings, settings and priorities without end, messages in frames of a byte, frames without anything in them, answers that nobody takes: HTTP/2 has a dozen ways to keep a peer busy or to have it hold something. Each ends with the connection that does it, and everything that was held for it is given back.",
    gets: "The connection is closed; a stream whose answer nobody takes is cut after ten seconds.",
  },
  {
    id: "G-06",
    title: "Messages that never become whole, and connections that do nothing",
    words:
      "A message counts with the size that it says it has, from its first bytes until it is answered: of its caller, of its connection and of everybody. It has to come in time, whatever its caller would wait. What needs no caller takes tiny messages, few at a time; a connection on which nobody known has called is one of few and is closed when it does nothing.",
  },
  {
    id: "G-07",
    title: "A request that costs more to read than to send",
    words:
      "Protobuf lets a few bytes stand for much: groups and messages in each other, a million lists without anything, fields that nobody knows, two values for one. A walk over the wire counts what is there before anything is built, and one field too many, one level too deep or one that nobody knows ends it. A text that is longer than its rule can allow is refused by its size, for to match it takes longer than to send it.",
    gets: "INVALID_ARGUMENT with `PROTO`, or `FIELD` and the path of the field.",
  },
  {
    id: "G-08",
    title: "Names that every object has, and texts that grow when they are read",
    words:
      "A member called `__proto__`, a label called `constructor`, a PCR called `toString`: a name that somebody else chose is looked for in maps and in own members, never in what all objects share. A policy is read without aliases, each member once, and no larger than a policy is.",
    gets: "INVALID_ARGUMENT with `POLICY_SCHEMA` or `FIELD`, or an answer as to any other name.",
  },
  {
    id: "G-09",
    title: "Work that keeps everybody else waiting",
    words:
      "The largest legal log, a chain of expensive keys, a list of a hundred thousand certificates: what takes longer than a few milliseconds is done in slices, and others have their turn between. What changes meanwhile is found when the decision is written, as ever. Signatures are paid for out of a budget. A call to what nobody serves, or that is no gRPC, is answered at once, and a connection that goes on with such calls is ended, whoever calls on it; who is refused too often is refused before anything is done. There is room for so many refusals in each turn of the loop, the connections' in turns, and whatever else there is to do goes on between.",
  },
  {
    id: "G-10",
    title: "Exceptions where nobody waits for them",
    words:
      "Whatever throws, at once, by a promise or after a while, and whatever a connection does in the middle of a handshake, a message or an answer: it ends one call or one connection. What was thrown stays in the log.",
    gets: "INTERNAL without a word of the cause.",
  },
  {
    id: "G-11",
    title: "A way around who calls",
    words:
      "Who calls is proven before a request is read, and one table says which role may call which method. A method without an entry in it is answered to nobody. A certificate is judged by the CA of one rule at a time, in each connection anew, and no session is resumed.",
  },
  {
    id: "G-12",
    title: "Names that are more than names",
    words:
      "Ids of devices, tenants and callers keep to a grammar of letters, digits and a few marks, of bounded length, wherever they come from: a request, a certificate, a token or metadata. What is refused is shown escaped and cut, in answers and in the log.",
    gets: "A caller whose own name breaks the grammar is nobody: UNAUTHENTICATED.",
  },
]

/** S: stores, clock, keys and faults. */
export const FAULT_ATTACKS: readonly AttackClass[] = [
  {
    id: "S-01",
    title: "A store of challenges that is away or slow",
    words:
      "What was spent is remembered by one owner. If it refuses, hangs or resets, nothing is sealed and nothing is spent, at issue and at spend alike; each call ends within about a second. Nothing falls back to the memory of one process, and once the store is back, so is Assay.",
  },
  {
    id: "S-02",
    title: "An answer that nobody got, and a store that forgot",
    words:
      "A reply that was lost has spent. A store that was restarted, replaced by one that had not heard, emptied or put back is not the one that a value was sealed under: the step that spends compares the two, and whatever is older is stale. Replicas and standbys, which may lag, are not asked.",
  },
  {
    id: "S-03",
    title: "A registry that is away, old, torn or altered",
    words:
      "Devices, policies and trust are read as they were stored, or not at all: each row that decides something is held against its digest, and a server that is a standby, forgets what it acknowledged, or has tables of another version is refused at the start and at every connection. An empty default stands in for nothing. Whether a change whose answer was lost was made is told by its record alone.",
  },
  {
    id: "S-04",
    title: "A change in the middle of a decision",
    words:
      "Everything that a decision rests on is read as one state, and its revisions are compared where the decision is recorded, in a transaction that keeps administrative changes out. Who moved anything meanwhile wins: the decision is not recorded, and no token leaves. Of changes that exclude each other one happens, on whichever replicas.",
  },
  {
    id: "S-06",
    title: "A clock that is wrong",
    words:
      "The wall clock is compared with the monotonic one and with the store's, all the time. One that was turned, stands still or drifts beyond the bound gives no challenges and no tokens, and what a clock that was ahead has forgotten does not come back when it is turned back.",
  },
  {
    id: "S-07",
    title: "A crash anywhere, and a disk that is full",
    words:
      "A decision, what it moves and its record are one transaction; a change, its record and the tenant's next revision are another. Wherever the process ends or the disk is full, all of one is there or nothing of it, and what was told to be written is.",
  },
  {
    id: "S-08",
    title: "A loop that died in silence",
    words:
      "What keeps revocation lists current runs beside the calls. If it throws, hangs or stops, the next round begins all the same, and readiness says so within its bound: silence is never health.",
    gets: "No call ends by it; readiness is false, and a list that has ended refuses where a sure answer is asked for.",
  },
  {
    id: "S-09",
    title: "Trust that is empty, damaged or changing",
    words:
      "Trust is read whole or not at all: a row that is missing or not what was stored fails the load. The last good trust is used for a while if it is still the current one, and the alarm is raised. A decision that rests on trust that has changed meanwhile is not recorded, and no token leaves.",
    gets: "The call ends with UNAVAILABLE if trust is empty or cannot be read, and with FAILED_PRECONDITION if it changed meanwhile.",
  },
]

/** What is remembered, and what is taken from it. */
export const CACHE_ATTACKS: readonly AttackClass[] = [
  {
    id: "C-01",
    title: "A key that leaves out what the answer depends on",
    words:
      "What is remembered is found by everything that it was worked out of, the tenant first: a log by its digest and the rules of replay, whose log it is by device and attestation key, a policy by its revision and digest, a verdict on evidence over an epoch by the evidence, the epoch's value, the device, its key, all revisions and its counters. Whatever differs in one of them is asked for anew.",
    gets: "The answer is the one that there would be if nothing were remembered.",
  },
  {
    id: "C-02",
    title: "Twins of what is remembered",
    words:
      "A log with a byte more, a byte changed or padding is another log, with a digest of its own, and so is evidence with anything changed, or with its log named instead of sent. It neither passes for the genuine one nor takes its place.",
    gets: "The twin is judged by itself; the genuine one stays known.",
  },
  {
    id: "C-03",
    title: "Keys that run into one another",
    words:
      "A key is SHA-256 over its parts, each with its length, in a map: no part can run into the next, and no name means anything else. A log is named by 32 bytes and by nothing shorter.",
    gets: "Two things have two keys. A digest of another size ends the call with INVALID_ARGUMENT.",
  },
  {
    id: "C-04",
    title: "Something remembered that no longer holds",
    words:
      "That a log is known says what it leads to and nothing of the device. State, policy, references, keys and times are those of the call, and the quoted values are compared each time. A verdict holds from when it was judged until the first certificate or list ends, and never longer than its epoch; what is decided by anything remembered is written only if all of its revisions are current still.",
    gets: "The call ends as it would with the log sent for the first time.",
  },
  {
    id: "C-05",
    title: "A hit that skips a check",
    words:
      "Only what follows from bytes alone is remembered. Signature, extraData, values, digest and comparison run in every call over new bytes, and before them nobody is told whether a log is known. For the very same evidence over an epoch they are remembered with the verdict; who may ask, whether the epoch is accepted, whether its device may name the log, revisions, record and token are each call's own.",
    gets: "The refusal is the same whether anything is known or not.",
  },
  {
    id: "C-06",
    title: "Remembered failures, and floods",
    words:
      "A failure is nobody's but that call's: nothing is remembered of a log that did not hold or is not there. Evidence over an epoch that its own bytes refute is remembered for seconds, apart from what is proven. One device keeps no more logs than it boots states and no more than four verdicts, and of several tenants the one with the most gives way first.",
    gets: "Junk is worked out each time it is sent, and takes nothing from anybody else.",
  },
  {
    id: "C-07",
    title: "Flights and bytes that are shared",
    words:
      "Calls that ask the same thing at the same time ask once, by the key that it is remembered by; what fails then fails each of them with an error of its own, and is asked again. Evidence is copied once before it is digested, and nobody changes it afterwards.",
    gets: "Nobody gets what another tenant, device or key asked for.",
  },
]
