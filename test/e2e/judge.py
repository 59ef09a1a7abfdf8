"""Reads what `assay demo -o json` prints and checks it with nothing but hashlib and struct.

Written from TPM 2.0 Library, Part 2 (10.12.8 TPMS_QUOTE_INFO, 10.6.2 TPMS_PCR_SELECTION) and from the comment of
assay.v1.Transcript, and not from Assay's code. Prints one JSON object.
"""
import base64
import hashlib
import json
import struct
import sys

ALGORITHMS = {0x0004: "sha1", 0x000B: "sha256", 0x000C: "sha384", 0x000D: "sha512"}


def take(data, size):
    assert len(data) >= size, "too short"
    return data[:size], data[size:]


def sized(data):
    size, data = take(data, 2)
    return take(data, struct.unpack(">H", size)[0])


def quote(data):
    head, data = take(data, 6)
    magic, kind = struct.unpack(">IH", head)
    assert magic == 0xFF544347 and kind == 0x8018, "no quote"
    signer, data = sized(data)
    extra, data = sized(data)
    _clock_and_firmware, data = take(data, 17 + 8)
    count, data = take(data, 4)
    selection = []
    for _ in range(struct.unpack(">I", count)[0]):
        head, data = take(data, 3)
        algorithm, size = struct.unpack(">HB", head)
        bitmap, data = take(data, size)
        pcrs = [i for i in range(8 * size) if bitmap[i // 8] >> (i % 8) & 1]
        selection.append((ALGORITHMS[algorithm], pcrs))
    digest, data = sized(data)
    assert data == b"", "trailing bytes"
    return signer, extra, selection, digest


def prefixed(*parts):
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def transcript_digest(transcript):
    method, digest = transcript["confirmation"].split(":")
    return hashlib.sha256(
        prefixed(
            b"assay/v1/challenge",
            bytes.fromhex(transcript["random"]),
            transcript["tenant"].encode(),
            transcript["device"].encode(),
            transcript["audience"].encode(),
            method.encode() + bytes.fromhex(digest),
            transcript["policy"].encode(),
        )
    )


def replay(log):
    """Crypto-agile log (TCG PC Client Platform Firmware Profile, 10.2), sha256 bank alone."""
    _pcr, kind, _sha1, size = struct.unpack_from("<II20sI", log)
    assert kind == 3 and log[32:47] == b"Spec ID Event03", "no crypto-agile log"
    at, pcrs = 32 + size, {}
    while at < len(log):
        pcr, kind, count = struct.unpack_from("<III", log, at)
        at += 12
        for _ in range(count):
            (algorithm,) = struct.unpack_from("<H", log, at)
            name = ALGORITHMS[algorithm]
            digest = log[at + 2 : at + 2 + hashlib.new(name).digest_size]
            at += 2 + len(digest)
            if kind != 3 and name == "sha256":
                pcrs[pcr] = hashlib.sha256(pcrs.get(pcr, bytes(32)) + digest).digest()
        (size,) = struct.unpack_from("<I", log, at)
        at += 4 + size
    return pcrs


def judge(evidence):
    public = bytes.fromhex(evidence["akPublic"])[2:]
    signer, extra, selection, digest = quote(bytes.fromhex(evidence["attest"]))
    values = [bytes.fromhex(evidence["pcrs"][bank][str(pcr)]) for bank, pcrs in selection for pcr in pcrs]
    replayed = replay(bytes.fromhex(evidence["eventLog"]))
    return {
        "name": evidence["akName"] == "000b" + hashlib.sha256(public).hexdigest(),
        "qualifiedName": evidence["qualifiedName"] == signer.hex(),
        "selection": evidence["pcrSelection"] == "+".join(f"{b}:{','.join(map(str, p))}" for b, p in selection),
        "pcrDigest": hashlib.sha256(b"".join(values)).digest() == digest,
        "replay": all(replayed.get(pcr, bytes(32)).hex() == evidence["pcrs"]["sha256"][str(pcr)] for pcr in selection[0][1]),
        "nonce": evidence["nonce"] == extra.hex(),
    }


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


shown = json.load(sys.stdin)
print(
    json.dumps(
        {
            "accepted": judge(shown["evidence"]),
            "refused": judge(shown["refused"]["evidence"]),
            "transcript": transcript_digest(shown["transcript"]).hexdigest() == shown["evidence"]["nonce"],
            "claims": claims(shown["token"]) == shown["claims"],
        }
    )
)
