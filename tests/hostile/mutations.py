"""Every way to get a message slightly wrong, and what the document says about each.

    SPEC       for each type its fields: kind, limits, whether they must be there
    SAMPLES    a message of each type that is as it should be
    fits()     does a body keep the rules? Written from docs/protocol.md, not from the daemons
    deletions(), swaps(), boundaries()   bodies that differ from a sample in one field
    header_flips(), random_bytes()       frames that differ in one bit, or in some bytes
"""

import base64
import ipaddress
import json
import re
import struct
from collections import namedtuple

from client import encode, frame

SEQ_MAX = (1 << 53) - 1
COUNT_MAX = (1 << 32) - 1
NONCE_MAX = 1 << 52
DATA_MAX = 1 << 20

A, B = "127.0.0.1:6001", "[::1]:6003"
BORN = 1764000000123
ID = "4a2ce478ca8858c3ed8afcec722bb121"

# RFC 4648 section 4; the library would take one = too many.
PADDED = re.compile("(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")

Field = namedtuple("Field", "kind need limit", defaults=("yes", None))
INCARNATION = Field("integer", limit=(1, SEQ_MAX))
COUNT = Field("integer", limit=(0, COUNT_MAX))
NONCE = Field("integer", limit=(0, NONCE_MAX))
SEQ = Field("integer", limit=(1, SEQ_MAX))
ADDRESS = Field("address")
MAYBE = Field("boolean", "no")
RANGES = Field("ranges", "no", 800)


def word(*words):
    return Field("word", limit=words)


# need: "yes"; "no"; the name of another field: only with that one, else ignored
SPEC = {
    "Register": {"address": ADDRESS, "incarnation": INCARNATION,
                 "want": Field("integer", "no", (0, 32)), "lease": Field("hash", "no")},
    "Get Peer List": {"want": Field("integer", "no", (0, 1000))},
    "Peer List": {"count": COUNT, "peers": Field("addresses", limit=1000),
                  "you": Field("address", "period_ms"),
                  "reachable": Field("boolean", "period_ms"),
                  "period_ms": Field("integer", "no", (0, SEQ_MAX)),
                  "lease": Field("hash", "period_ms")},
    "Death": {"address": ADDRESS, "incarnation": Field("integer", limit=(0, SEQ_MAX)),
              "reporter": Field("address", "no"),
              "reason": word("left", "silent", "reset", "refused"),
              "lease": Field("hash", "no")},
    "Death Reply": {"verdict": word("removed", "verifying", "alive", "unknown", "busy")},
    "Peer Request": {"address": ADDRESS, "incarnation": INCARNATION, "neighbors": COUNT,
                     "urgent": MAYBE},
    "Peer Reply": {"verdict": word("accepted", "busy", "duplicate", "self"),
                   "address": ADDRESS, "incarnation": INCARNATION, "neighbors": COUNT,
                   "redirect": Field("addresses", "no", 6)},
    "Liveliness": {"nonce": NONCE},
    "Liveliness Reply": {"nonce": NONCE, "address": ADDRESS, "incarnation": INCARNATION,
                         "neighbors": COUNT},
    "Message": {"origin": ADDRESS, "incarnation": INCARNATION, "seq": SEQ,
                "time": Field("integer", limit=(0, SEQ_MAX)), "data": Field("data"),
                "encoding": Field("word", "no", ("base64",))},
    "Have": {"ranges": Field("ranges", limit=800), "all": MAYBE, "more": MAYBE},
    "getData": {"ranges": RANGES, "id": Field("hash", "no"), "graft": MAYBE},
    "Not Found": {"ranges": RANGES, "id": Field("hash", "no")},
    "Graft": {"runs": Field("runs", limit=1000), "all": MAYBE},
    "Prune": {"runs": Field("runs", limit=1000)},
    "Bye": {"reason": word("rotate", "busy", "duplicate", "slow", "shutdown")},
}

SAMPLES = [
    {"type": "Register", "address": A, "incarnation": BORN, "want": 32, "lease": "0" * 32},
    {"type": "Get Peer List", "want": 32},
    {"type": "Peer List", "count": 2, "peers": [A, B], "you": A, "reachable": True,
     "period_ms": 60000, "lease": ID},
    {"type": "Death", "address": A, "incarnation": BORN, "reporter": B, "reason": "left",
     "lease": ID},
    {"type": "Death Reply", "verdict": "busy"},
    {"type": "Peer Request", "address": A, "incarnation": BORN, "neighbors": 2, "urgent": False},
    {"type": "Peer Reply", "verdict": "busy", "address": A, "incarnation": BORN,
     "neighbors": 5, "redirect": [A, B]},
    {"type": "Liveliness", "nonce": 7},
    {"type": "Liveliness Reply", "nonce": 7, "address": A, "incarnation": BORN, "neighbors": 4},
    {"type": "Message", "origin": A, "incarnation": BORN, "seq": 1, "time": 1, "data": "text"},
    {"type": "Message", "origin": B, "incarnation": BORN, "seq": 17, "time": 0, "data": "/wD+",
     "encoding": "base64"},
    {"type": "Have", "ranges": [[A, BORN, 1, 2], [B, BORN, 17, 17]], "all": True, "more": True},
    {"type": "getData", "ranges": [[A, BORN, 2, 9]], "graft": True},
    {"type": "getData", "id": ID, "graft": True},
    {"type": "Not Found", "ranges": [[A, BORN, 3, 9]]},
    {"type": "Not Found", "id": ID},
    {"type": "Graft", "runs": [[A, BORN]], "all": True},
    {"type": "Prune", "runs": [[A, BORN], [B, BORN]]},
    {"type": "Bye", "reason": "rotate"},
]


# --- the rules ---------------------------------------------------------------


def is_integer(value, low, high):
    """A JSON number with a whole value in range, however it is written."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return value == value and abs(value) != float("inf") and value == int(value) \
        and low <= value <= high


def is_address(value):
    if not isinstance(value, str) or ":" not in value:
        return False
    host, port = value.rsplit(":", 1)
    if not re.fullmatch(r"[1-9][0-9]{0,4}", port) or int(port) > 65535:
        return False
    if "%" in host:
        return False
    try:
        if host.startswith("[") and host.endswith("]"):
            ip = ipaddress.IPv6Address(host[1:-1])
            return ip.ipv4_mapped is None and f"[{ip}]" == host
        return str(ipaddress.IPv4Address(host)) == host
    except ValueError:
        return False


def is_hash(value):
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{32}", value) is not None


def is_run(value):
    return isinstance(value, list) and len(value) == 2 and is_address(value[0]) \
        and is_integer(value[1], 1, SEQ_MAX)


def is_range(value):
    return isinstance(value, list) and len(value) == 4 and is_run(value[:2]) \
        and is_integer(value[2], 1, SEQ_MAX) and is_integer(value[3], value[2], SEQ_MAX)


def is_list(value, most, good):
    return isinstance(value, list) and len(value) <= most and all(map(good, value))


def is_data(value, fields):
    if not isinstance(value, str):
        return False
    if "encoding" not in fields:
        return len(value.encode()) <= DATA_MAX
    return PADDED.fullmatch(value) is not None and len(base64.b64decode(value)) <= DATA_MAX


def is_good(field, value, fields):
    if field.kind == "integer":
        return is_integer(value, *field.limit)
    if field.kind == "word":
        return isinstance(value, str) and value in field.limit
    if field.kind == "boolean":
        return isinstance(value, bool)
    if field.kind == "data":
        return is_data(value, fields)
    if field.kind in ("addresses", "runs", "ranges"):
        good = {"addresses": is_address, "runs": is_run, "ranges": is_range}[field.kind]
        return is_list(value, field.limit, good)
    return {"address": is_address, "hash": is_hash}[field.kind](value)


def fits(body):
    """Does this JSON text keep the rules of its type?"""
    fields = json.loads(body)
    kind = fields.get("type")
    if not isinstance(kind, str):
        return False
    assert kind in SPEC, kind
    for name, field in SPEC[kind].items():
        if field.need not in ("yes", "no") and field.need not in fields:
            continue  # ignored
        if name not in fields:
            if field.need != "no":
                return False
        elif not is_good(field, fields[name], fields):
            return False
    if kind in ("getData", "Not Found"):
        return ("ranges" in fields) != ("id" in fields)
    return True


# --- one field is wrong ------------------------------------------------------

Mutant = namedtuple("Mutant", "name kind body fits")

SWAPS = ['"x"', '""', "0", "1", "-1", "-0", "1.5", "2.0", "1e2", "1e400", "-1e400",
         "9007199254740992", "18446744073709551616", "9" * 60, "true", "false", "null",
         "[]", "{}", "[[]]", "[null]", '{"type":"Bye"}', '["127.0.0.1:6001"]',
         '"' + "y" * 300 + '"']

ADDRESSES = ["", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:1", "127.0.0.1:65535",
             "127.0.0.1:65536", "127.0.0.01:80", "127.1:80", "127.0.0.1:080", "127.0.0.1:80 ",
             " 127.0.0.1:80", "127.0.0.1:+80", "localhost:80", "::1:80", "[::1]", "[::1]:",
             "[::]:1", "[0:0:0:0:0:0:0:1]:80", "[::ffff:127.0.0.1]:80", "[FE80::1]:80",
             "[fe80::1%lo]:80", "[127.0.0.1]:80", "255.255.255.255:65535", "256.0.0.1:80",
             "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "x" * 300, "127.0.0.1:80:80",
             "[::1]:65536", "[1::2::3]:80"]
HASHES = ["0" * 31, "0" * 33, "0" * 32, "f" * 32, "F" * 32, "g" * 32, "0x" + "0" * 30, " " * 32]
BASE64 = ["", "QQ==", "QUI=", "QUJD", "Q", "QQ", "QQ=", "QQ===", "QUI", "Q===", "====", "Q Q=",
          "QQ==\n", "QUJD=", "-_-_", "=QQQ", "QQ==QQ=="]


def text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def with_field(sample, name, raw):
    """The body with one field written as that text; raw None: without it."""
    parts = [f"{text(k)}:{raw if k == name else text(v)}" for k, v in sample.items()
             if k != name or raw is not None]
    if name not in sample and raw is not None:
        parts.append(f"{text(name)}:{raw}")
    return "{" + ",".join(parts) + "}"


def mutant(sample, name, raw, what):
    body = with_field(sample, name, raw)
    shown = raw if raw is None or len(raw) < 40 else f"{raw[:30]}... ({len(raw)})"
    return Mutant(f"{sample['type']}.{name} {what} {shown or ''}", sample["type"],
                  body.encode(), fits(body))


def deletions():
    """Every field of every type left out, `type` too."""
    return [mutant(s, name, None, "left out") for s in SAMPLES for name in s]


def swaps():
    """Every field of every type as a value of every other kind."""
    return [mutant(s, name, raw, "is") for s in SAMPLES for name in list(SPEC[s["type"]]) + ["type"]
            for raw in SWAPS
            if not (name == "type" and raw.startswith('"'))]  # that is an unknown type


def integers(low, high):
    edges = {low - 1, low, low + 1, high - 1, high, high + 1, -high, 1 << 31, (1 << 31) - 1,
             (1 << 32) - 1, 1 << 32, 1 << 52, (1 << 52) + 1, (1 << 53) - 1, 1 << 53, 1 << 62,
             1 << 63, 1 << 64, 1 << 70}
    return [str(n) for n in sorted(edges)] + [f"{high}.0", f"{low}.5", f"{low}.00000001", "1E0",
                                              "10e-1", "1e-1", "5e-324", "1e308"]


def words(good):
    out = list(good)
    for w in good:
        out += [w[:-1], w + " ", w + "x", w.upper(), " " + w]
    return [text(w) for w in out + ["", "?", "é"]]


def elements(field):
    """Lists with something wrong in them, and the longest."""
    good = {"addresses": A, "runs": [A, BORN], "ranges": [A, BORN, 1, 2]}[field.kind]
    out = [[good] * n for n in (0, 1, 2, field.limit, field.limit + 1)]
    bad = [None, 1, "", A + "0000", [], {}, [good]]
    if field.kind == "addresses":
        bad += [a for a in ADDRESSES[:12]]
    else:
        bad += [good[:-1], good + [1], ["x"] + good[1:], [B[1:]] + good[1:], [A, 0] + good[2:],
                [A, 1 << 53] + good[2:], [A, str(BORN)] + good[2:], [A, -1] + good[2:],
                list(reversed(good)), [[A], BORN] + good[2:], [A, 1.5] + good[2:], A]
    if field.kind == "ranges":
        bad += [[A, BORN, 2, 1], [A, BORN, 0, 1], [A, BORN, 1, 1 << 53], [A, BORN, -1, 1],
                [A, BORN, 1, "2"], [A, BORN, None, 2], [A, BORN, SEQ_MAX, SEQ_MAX]]
    out += [[b] for b in bad] + [[good, b] for b in bad]
    return [text(v) for v in out] + [text([good] * 2)[:-1] + ",1e400]"]


def edge_values(field):
    if field.kind == "integer":
        return integers(*field.limit)
    if field.kind == "word":
        return words(field.limit)
    if field.kind == "boolean":
        return ["true", "false", '"true"', "0", "1"]
    if field.kind == "address":
        return [text(a) for a in ADDRESSES]
    if field.kind == "hash":
        return [text(h) for h in HASHES]
    if field.kind == "data":
        return [text(d) for d in ("", "x", "ü€😀", "\\", '"', "\x7f", "x" * 200)]
    return elements(field)


def boundaries():
    """Every field at, and one beyond, each of its limits."""
    out = []
    for s in SAMPLES:
        for name, field in SPEC[s["type"]].items():
            out += [mutant(s, name, raw, "is") for raw in edge_values(field)]
        if s.get("encoding"):
            out += [mutant(s, "data", text(b), "in base64 is") for b in BASE64]
    return out


# --- bits and bytes ----------------------------------------------------------


def frames():
    """(type, frame) of every sample."""
    return [(s["type"], frame(encode(s))) for s in SAMPLES]


def header_flips():
    """(name, type, frame, does the header still keep the rules for this body?)"""
    out = []
    for kind, data in frames():
        for bit in range(64):
            flipped = bytearray(data)
            flipped[bit // 8] ^= 0x80 >> bit % 8
            byte, value = bit // 8, data[bit // 8] ^ (0x80 >> bit % 8)
            fine = kind == "Message" and (byte == 2 or byte == 1 and value <= 3)
            out.append((f"{kind}, bit {bit}", kind, bytes(flipped), fine))
    return out


def random_bytes(rng, n):
    """n frames of every type with some bytes changed, left out or put in."""
    out = []
    samples = frames()
    for i in range(n):
        kind, data = samples[i % len(samples)]
        body = bytearray(data[8:])
        for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
            at = rng.randrange(len(body))
            how = rng.randrange(4)
            if how == 0:
                body[at] = rng.randrange(256)
            elif how == 1:
                body[at] ^= 1 << rng.randrange(8)
            elif how == 2 and len(body) > 2:
                del body[at]
            else:
                body.insert(at, rng.choice(b'{}[]",:\\0x\x00\xff'))
        out.append((kind, struct.pack(">BBBBI", 1, 0, 0, 0, len(body)) + bytes(body)))
    return out
