"""Which JSON values are messages: written from docs/protocol.md, not from the
codec. Numbers are floats here."""
import base64
import functools
import re
import socket

SEQ_MAX = 2 ** 53 - 1
COUNT_MAX = 2 ** 32 - 1
DATA_MAX = 1048576

HASH = re.compile("[0-9a-f]{32}")
ADDRESS = re.compile(r"(?:\[([0-9a-f:.]+)\]|([0-9.]+)):([1-9][0-9]{0,4})",
                     re.ASCII)


def integer(low, high):
    return lambda v: (isinstance(v, float) and low <= v <= high and
                      v.is_integer())


def word(*words):
    return lambda v: isinstance(v, str) and v in words


@functools.lru_cache(maxsize=4096)
def canonical(text):
    match = ADDRESS.fullmatch(text)
    if match is None or int(match[3]) > 65535:
        return False
    family = socket.AF_INET6 if match[1] else socket.AF_INET
    host = match[1] or match[2]
    try:
        again = socket.inet_ntop(family, socket.inet_pton(family, host))
    except OSError:
        return False
    return again == host and not host.startswith("::ffff:")


def address(v):
    return isinstance(v, str) and canonical(v)


def hash_(v):
    return isinstance(v, str) and HASH.fullmatch(v) is not None


def boolean(v):
    return isinstance(v, bool)


def list_of(most, element):
    return lambda v: (isinstance(v, list) and len(v) <= most and
                      all(map(element, v)))


def run(v):
    return (isinstance(v, list) and len(v) == 2 and address(v[0]) and
            incarnation(v[1]))


def range_(v):
    return (isinstance(v, list) and len(v) == 4 and run(v[:2]) and
            number(v[2]) and integer(v[2], SEQ_MAX)(v[3]))


def is_base64(text):
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)) \
            == text.encode()
    except ValueError:
        return False


def data_fits(m):
    if "encoding" not in m:
        return len(m["data"].encode()) <= DATA_MAX
    return m["encoding"] == "base64" and is_base64(m["data"])


incarnation = number = integer(1, SEQ_MAX)
count = integer(0, COUNT_MAX)
nonce = integer(0, 2 ** 52)
ranges = list_of(800, range_)
runs = list_of(1000, run)


def text(v):
    return isinstance(v, str)


# The fields that must be there, those that may, and what else must be true.
SCHEMA = {
    "Register": ({"address": address, "incarnation": incarnation},
                 {"want": integer(0, 32), "lease": hash_}),
    "Get Peer List": ({}, {"want": integer(0, 1000)}),
    "Death": ({"address": address, "incarnation": integer(0, SEQ_MAX),
               "reason": word("left", "silent", "reset", "refused")},
              {"reporter": address, "lease": hash_}),
    "Death Reply": ({"verdict": word("removed", "verifying", "alive",
                                     "unknown", "busy")}, {}),
    "Peer Request": ({"address": address, "incarnation": incarnation,
                      "neighbors": count}, {"urgent": boolean}),
    "Peer Reply": ({"verdict": word("accepted", "busy", "duplicate", "self"),
                    "address": address, "incarnation": incarnation,
                    "neighbors": count}, {"redirect": list_of(6, address)}),
    "Liveliness": ({"nonce": nonce}, {}),
    "Liveliness Reply": ({"nonce": nonce, "address": address,
                          "incarnation": incarnation, "neighbors": count}, {}),
    "Message": ({"origin": address, "incarnation": incarnation, "seq": number,
                 "time": integer(0, SEQ_MAX), "data": text}, {}),
    "Have": ({"ranges": ranges}, {"all": boolean, "more": boolean}),
    "Graft": ({"runs": runs}, {"all": boolean}),
    "Prune": ({"runs": runs}, {}),
    "Bye": ({"reason": word("rotate", "busy", "duplicate", "slow",
                            "shutdown")}, {}),
}
LIST = ({"count": count, "peers": list_of(1000, address)}, {})
ANSWER = ({**LIST[0], "you": address, "reachable": boolean,
           "period_ms": integer(0, SEQ_MAX), "lease": hash_}, {})
BY_ID = {"id": hash_}
BY_RANGES = {"ranges": ranges}


def schema_of(m):
    kind = m["type"]
    if kind == "Peer List":  # to a Register there is more
        return ANSWER if "period_ms" in m else LIST
    if kind in ("getData", "Not Found"):
        must = BY_ID if "id" in m else BY_RANGES
        return must, {"graft": boolean} if kind == "getData" else {}
    return SCHEMA.get(kind)


def judge(m):
    """'message', 'unknown' (of another version), or 'malformed'."""
    if not isinstance(m.get("type"), str):
        return "malformed"
    schema = schema_of(m)
    if schema is None:
        return "unknown"
    must, may = schema
    good = (all(key in m and check(m[key]) for key, check in must.items()) and
            all(key not in m or check(m[key]) for key, check in may.items()))
    if m["type"] in ("getData", "Not Found") and "id" in m and "ranges" in m:
        good = False  # one of them
    if good and m["type"] == "Message":
        good = data_fits(m)
    return "message" if good else "malformed"
