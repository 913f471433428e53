#!/usr/bin/env python3
"""The pre-scan against Python's json module, on millions of texts.

usage: differential.py LIBRARY [--runs N | --seconds S] [--seed K]
                       [--finding FILE] [FILE...]

LIBRARY is differ.c, built by `make fuzzers`. It mutates the samples below, and
the inputs of FILEs (a .pack of the frame target), and says what the scan, cJSON
and the codec make of each. What must hold:

* What the scan accepts, json accepts, too, and cJSON read the same values.
* What the scan refuses and json accepts is refused for a rule of ours that
  json does not have (RULES), and the text really breaks that rule.
* The codec decodes what docs/protocol.md calls a message (schema.py), and no
  other; encoded again it says the same as the text did.

Strict json: UTF-8, no key twice in one object, no NaN, nothing around it.
Ends with status 1 at the first finding, and leaves its text in a file, which
may be given as FILE. Without --runs and --seconds: only the texts as they are.
"""
import argparse
import ctypes
import json
import marshal
import pathlib
import re
import struct
import sys
import time

import schema

BATCH = 2048
CASE = struct.Struct("=QQQQQIIIxxxx")  # struct differ_case
ERR_OK, ERR_SYNTAX, ERR_UNKNOWN = 0, 2, 6
DECODED = {ERR_OK: "message", ERR_SYNTAX: "malformed", ERR_UNKNOWN: "unknown"}

ADDRESS, ID = '"127.0.0.1:4000"', '"00112233445566778899aabbccddeeff"'
RANGES = f'[[{ADDRESS},7,1,9],["[::1]:5",8,2,9007199254740991]]'
SAMPLES = [
    f'{{"type":"Register","address":{ADDRESS},"incarnation":7,"want":3}}',
    f'{{"type":"Register","address":{ADDRESS},"incarnation":7,"lease":{ID}}}',
    '{"type":"Get Peer List","want":3}',
    f'{{"type":"Peer List","count":2,"peers":[{ADDRESS},"[::1]:5"]}}',
    f'{{"type":"Peer List","count":2,"peers":[],"you":{ADDRESS},'
    f'"reachable":true,"period_ms":60000,"lease":{ID}}}',
    f'{{"type":"Death","address":{ADDRESS},"incarnation":0,'
    f'"reporter":{ADDRESS},"reason":"left","lease":{ID}}}',
    '{"type":"Death Reply","verdict":"verifying"}',
    f'{{"type":"Peer Request","address":{ADDRESS},"incarnation":7,'
    '"neighbors":3,"urgent":true}',
    f'{{"type":"Peer Reply","verdict":"busy","address":{ADDRESS},'
    f'"incarnation":7,"neighbors":3,"redirect":[{ADDRESS}]}}',
    '{"type":"Liveliness","nonce":4503599627370496}',
    f'{{"type":"Liveliness Reply","nonce":1,"address":{ADDRESS},'
    '"incarnation":7,"neighbors":3}',
    f'{{"type":"Message","origin":{ADDRESS},"incarnation":7,"seq":1,'
    '"time":1,"data":"h\\u00e4 \\ud83d\\ude00 \\n\u00e9"}',
    f'{{"type":"Message","origin":{ADDRESS},"incarnation":7,"seq":1,'
    '"time":1,"data":"aGVsbG8=","encoding":"base64"}',
    f'{{"type":"Have","ranges":{RANGES},"all":true,"more":true}}',
    f'{{"type":"getData","ranges":{RANGES},"graft":true}}',
    f'{{"type":"getData","id":{ID}}}',
    f'{{"type":"Not Found","ranges":{RANGES}}}',
    f'{{"type":"Not Found","id":{ID}}}',
    f'{{"type":"Graft","runs":[[{ADDRESS},7]],"all":true}}',
    f'{{"type":"Prune","runs":[[{ADDRESS},7]]}}',
    '{"type":"Bye","reason":"rotate"}',
    ' {"a":-1.5e+10,"b":[[[[[[[]]]]]]],"c":"\u00e9","d":[false,null]}\n',
    '{"a":{"a":{"a":{"a":{"a":{"a":{"a":{}}}}}}},"b":"\\"\\\\\\/\\b\\f\\r\\t"}',
    '{' + ",".join(f'"k{i}":{i}' for i in range(32)) + '}',
    '{"v":[' + ",".join("0" * 4000) + ']}',
    '[1,"not an object"]', '"text"', '12', 'null', '{}',
]


# --- strict json

def members(pairs):
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key twice")
    return value


def no_constant(name):
    raise ValueError(name)


decode = json.JSONDecoder(object_pairs_hook=members, parse_int=float,
                          parse_constant=no_constant).decode


# --- the rules that json does not have

def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for v in value:
            yield from strings(v)
    elif isinstance(value, dict):
        for k, v in value.items():
            yield k
            yield from strings(v)


def children(value):
    return (value.values() if isinstance(value, dict) else
            value if isinstance(value, list) else ())


def depth(value):
    if not isinstance(value, (dict, list)):
        return 0
    return 1 + max(map(depth, children(value)), default=0)


def count(value):
    return 1 + sum(map(count, children(value)))


def most_keys(value):
    own = len(value) if isinstance(value, dict) else 0
    return max([own, *map(most_keys, children(value))])


SURROGATE = re.compile("[\ud800-\udfff]")
LONG_NUMBER = re.compile(rb"[-+.0-9eE]{64}")

RULES = {  # as the scan says it: is the rule broken?
    b"not an object": lambda text, v: not isinstance(v, dict),
    b"nested too deeply": lambda text, v: depth(v) > 8,
    b"too many values": lambda text, v: count(v) > 4096,
    b"too many keys in one object": lambda text, v: most_keys(v) > 32,
    b"\\u0000 in a string":
        lambda text, v: any("\0" in s for s in strings(v)),
    b"lone surrogate":
        lambda text, v: any(SURROGATE.search(s) for s in strings(v)),
    b"number too long": lambda text, v: LONG_NUMBER.search(text) is not None,
}
# Only where one of these is, can an accepted text have broken a rule.
SUSPECT = re.compile(rb"\\u0000|\\u[dD]|[-+.0-9eE]{64}")


def check_rules(text, value):
    """An accepted text keeps all of them."""
    if (len(text) > 4000 or SUSPECT.search(text) or text.count(b":") > 32 or
            text.count(b"{") + text.count(b"[") > 8):
        for why, broken in RULES.items():
            if why == b"number too long":  # may stand in a string
                continue
            if broken(text, value):
                return f"accepted, though {why.decode()}"
    return None


# --- the codec

DEFAULTS = {"want": 32.0, "urgent": False, "redirect": []}


def check_body(value, body):
    """The encoded body says what the text said."""
    said = decode(body.decode())
    for key, v in said.items():
        if key in value:
            if v != value[key]:
                return f"{key} was {value[key]!r} and became {v!r}"
        elif key not in DEFAULTS or DEFAULTS[key] != v:
            return f"{key} came from nowhere: {v!r}"
    return None


# --- one text

def judge(text, tree, body, why, scan, decoded, encoded):
    """None, or what is wrong."""
    try:
        value = decode(text.decode())
    except (ValueError, RecursionError) as e:
        if scan == ERR_OK:
            return f"accepted, json refuses it: {e}"
        return None
    if scan != ERR_OK:
        broken = RULES.get(why)
        if broken is None or not broken(text, value):
            return f"refused ({why.decode()}), json accepts it"
        return None
    if marshal.dumps(value, 2) != tree:
        return "cJSON read other values than json"
    wrong = check_rules(text, value)
    expected = schema.judge(value)
    if wrong is None and DECODED.get(decoded) != expected:
        return f"the codec says {DECODED.get(decoded)} to what is {expected}"
    if wrong is None and decoded == ERR_OK:
        if encoded != ERR_OK:
            return f"decoded, but encoding it fails with error {encoded}"
        wrong = check_body(value, body)
    return wrong


class Library:
    def __init__(self, path, seed):
        self.c = ctypes.CDLL(str(pathlib.Path(path).resolve()))
        self.c.differ_batch.restype = ctypes.c_size_t
        self.c.differ_init.argtypes = [ctypes.c_uint64]
        self.c.differ_sample.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
        self.c.differ_init(seed)
        self.room = ctypes.create_string_buffer(CASE.size * BATCH)
        self.whys = {0: b""}

    def why(self, pointer):
        if pointer not in self.whys:
            self.whys[pointer] = ctypes.string_at(pointer)
        return self.whys[pointer]

    def cases(self, n, data):
        for case in CASE.iter_unpack(self.room.raw[:CASE.size * n]):
            text_at, tree_at, body_at, end, why, scan, decoded, encoded = case
            yield (data[text_at:tree_at], data[tree_at:body_at],
                   data[body_at:end], self.why(why), scan, decoded, encoded)

    def batch(self, n):
        data = ctypes.c_void_p()
        size = self.c.differ_batch(ctypes.c_size_t(n), self.room,
                                   ctypes.byref(data))
        return self.cases(n, ctypes.string_at(data, size))

    def one(self, text):
        data = ctypes.c_void_p()
        self.c.differ_one(text, ctypes.c_size_t(len(text)), self.room,
                          ctypes.byref(data))
        end = CASE.unpack_from(self.room)[3]
        return next(self.cases(1, ctypes.string_at(data, end)))


def is_message(text):
    try:
        value = decode(text.decode())
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and schema.judge(value) == "message"


def bodies(path):
    """The messages of a corpus of the frame target; a file of another name
    is a text."""
    data = pathlib.Path(path).read_bytes()
    if not path.endswith(".pack"):
        return [data]
    found = []
    while data:
        n = int.from_bytes(data[:4], "big")
        found += data[5:4 + n].split(b"\xff")
        data = data[4 + n:]
    return [b for b in found if len(b) < 2000 and is_message(b)]


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("library")
    parser.add_argument("files", nargs="*")
    parser.add_argument("--runs", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--finding", default="differential-text")
    args = parser.parse_intermixed_args()
    library = Library(args.library, args.seed)
    texts = [s.encode() for s in SAMPLES]
    for path in args.files:
        texts += bodies(path)

    done, accepted, decoded_n, refused = 0, 0, 0, {}
    begin = time.monotonic()

    def look(case):
        nonlocal done, accepted, decoded_n
        done += 1
        accepted += case[4] == ERR_OK
        decoded_n += case[5] == ERR_OK
        if case[4] != ERR_OK:
            refused[case[3]] = refused.get(case[3], 0) + 1
        wrong = judge(*case)
        if wrong is not None:
            pathlib.Path(args.finding).write_bytes(case[0])
            sys.exit(f"differential: {wrong}\n  {case[0]!r}\n"
                     f"  text {done} of --seed {args.seed}, now in "
                     f"{args.finding}")

    for text in texts:
        look(library.one(text))
        library.c.differ_sample(text, len(text))
    while ((args.runs is None or done < args.runs) and
           (args.seconds is None or time.monotonic() - begin < args.seconds) and
           (args.runs is not None or args.seconds is not None)):
        for case in library.batch(BATCH):
            look(case)
    seconds = time.monotonic() - begin
    print(f"differential: {done} texts in {seconds:.1f} s, {accepted} accepted,"
          f" {decoded_n} of them messages, {len(refused)} reasons to refuse")


if __name__ == "__main__":
    main()
