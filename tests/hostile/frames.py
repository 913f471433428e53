"""What nobody should send. Each of BREACHES ends a connection, whoever is asked (in GROUPS
they are sorted by kind); STRANGE does not, and nothing happens."""

import struct

from client import encode, frame, message

GOOD = encode(message("Liveliness", nonce=1))
A = "127.0.0.1:6001"


def head(size, version=1, flags=0, hops=0, zero=0):
    return struct.pack(">BBBBI", version, flags, hops, zero, size)


def whole(body, **fields):
    body = body.encode() if isinstance(body, str) else body
    return head(len(body), **fields) + body


def nonce(text):
    return whole('{"type":"Liveliness","nonce":%s}' % text)


def register(**fields):
    return frame({"type": "Register", "address": A, "incarnation": 1, "want": 1, **fields})


def nested(depth):
    """An object with arrays in it, `depth` deep in all."""
    return '{"type":"Liveliness","nonce":1,"x":%s1%s}' % ("[" * (depth - 1), "]" * (depth - 1))


def values(n):
    """An object of n values: itself, its type, its nonce, an array and what is in it."""
    return '{"type":"Liveliness","nonce":1,"x":[%s]}' % ",".join(["0"] * (n - 4))


GROUPS = {
    "headers": {
        "version 0": whole(GOOD, version=0),
        "version 2": whole(GOOD, version=2),
        "version 255": whole(GOOD, version=255),
        "an unknown flag": whole(GOOD, flags=4),
        "all flags": whole(GOOD, flags=255),
        "byte 3": whole(GOOD, zero=1),
        "length 0": head(0) + GOOD,
        "length 1": head(1) + b"{",
        "one byte too long": head(1572865),
        "2 GiB": head(1 << 31) + b"x" * 4096,
        "4 GiB": head(0xFFFFFFFF),
        "HTTP": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "TLS": bytes.fromhex("160301020001000001fc0303") + b"\x5a" * 64,
    },
    "no JSON": {
        "no JSON": whole("hello there"),
        "cut off": whole(GOOD[:-1]),
        "an array": whole("[1,2]"),
        "a string": whole('"Liveliness"'),
        "two objects": whole(GOOD + GOOD),
        "garbage behind": whole(GOOD + b"x"),
        "a NUL behind": whole(GOOD + b"\0"),
        "a trailing comma": whole('{"type":"Liveliness","nonce":1,}'),
        "a comment": whole('{"type":"Liveliness",/* */"nonce":1}'),
        "single quotes": whole("{'type':'Liveliness','nonce':1}"),
        "a bare key": whole('{type:"Liveliness","nonce":1}'),
        "a byte order mark": whole(b"\xef\xbb\xbf" + GOOD),
        "UTF-16": whole(GOOD.decode().encode("utf-16")),
    },
    "strings": {
        "invalid UTF-8": whole(b'{"type":"Liveliness","nonce":1,"x":"\xff"}'),
        "overlong UTF-8": whole(b'{"type":"Liveliness","nonce":1,"x":"\xc0\xaf"}'),
        "a surrogate in UTF-8": whole(b'{"type":"Liveliness","nonce":1,"x":"\xed\xa0\x80"}'),
        "UTF-8 cut off": whole(b'{"type":"Liveliness","nonce":1,"x":"\xe2\x82"}'),
        "a lone surrogate": whole('{"type":"Liveliness","nonce":1,"x":"\\ud800"}'),
        "an escaped NUL": whole('{"type":"Liveliness","nonce":1,"x":"a\\u0000b"}'),
        "an escaped NUL in a key": whole('{"ty\\u0000pe":"x","type":"Liveliness","nonce":1}'),
        "a raw control byte": whole('{"type":"Liveliness","nonce":1,"x":"a\nb"}'),
        "a bad escape": whole('{"type":"Liveliness","nonce":1,"x":"\\q"}'),
    },
    "structure": {
        "depth 9": whole(nested(9)),
        "depth 200": whole(nested(200)),
        "depth 1000": whole(nested(1000)),
        "depth 100000": whole(nested(100000)),
        "4097 values": whole(values(4097)),
        "a key twice": whole('{"type":"Liveliness","nonce":1,"nonce":2}'),
        "a key twice, once escaped": whole('{"type":"Liveliness","nonce":1,"\\u006eonce":2}'),
        "33 keys": whole("{%s}" % ",".join(f'"k{i}":1' for i in range(33))),
        "no type": whole('{"nonce":1}'),
        "an empty object": whole("{}"),
        "type is a number": whole('{"type":7,"nonce":1}'),
        "Type instead of type": whole('{"Type":"Liveliness","nonce":1}'),
    },
    "numbers": {
        "no nonce": whole('{"type":"Liveliness"}'),
        "nonce -1": nonce("-1"),
        "nonce 1.5": nonce("1.5"),
        "nonce 2^52 + 1": nonce("4503599627370497"),
        "nonce 2^64": nonce("18446744073709551616"),
        "nonce 1e400": nonce("1e400"),
        "nonce 0123": nonce("0123"),
        "nonce +1": nonce("+1"),
        "nonce 0x10": nonce("0x10"),
        "nonce NaN": nonce("NaN"),
        "nonce of 300 digits": nonce("9" * 300),
        "nonce true": nonce("true"),
        "nonce null": nonce("null"),
        "nonce a string": nonce('"1"'),
        "nonce an array": nonce("[1]"),
    },
    "fields out of range": {
        "want 33": register(want=33),
        "want -1": register(want=-1),
        "want 1001 of a list": frame({"type": "Get Peer List", "want": 1001}),
        "incarnation 0": register(incarnation=0),
        "incarnation 2^53": register(incarnation=1 << 53),
        "a short lease": register(lease="0" * 31),
        "a lease in capitals": register(lease="ABCDEF" + "0" * 26),
        "a lease that is none": register(lease="x" * 32),
        "no address": frame({"type": "Register", "incarnation": 1}),
        "an unknown reason": frame({"type": "Death", "address": A, "incarnation": 1, "reason": "bored"}),
        **{f"address {text!r}": register(address=text) for text in (
            "", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.01:80", "127.1:80",
            "127.0.0.1:080", "127.0.0.1:80 ", "localhost:80", "::1:80", "[::1]", "[::1]:",
            "[0:0:0:0:0:0:0:1]:80", "[::ffff:127.0.0.1]:80", "[FE80::1]:80", "[fe80::1%lo]:80",
            "[127.0.0.1]:80", "x" * 300)},
    },
}

BREACHES = {name: data for group in GROUPS.values() for name, data in group.items()}

STRANGE = {
    "an unknown type": frame({"type": "Gossip", "x": 1}),
    "an unknown type with everything": frame({"type": "liveliness", "nonce": "?", "x": [[{}]]}),
    "depth 8": whole(nested(8)),
    "4096 values": whole(values(4096)),
    "an unknown field": whole('{"type":"Liveliness","nonce":1,"color":"red"}'),
    "white space": whole(' \r\n\t{ "nonce" : 1 , "type" : "Liveliness" }\n'),
    "escapes": whole('{"type":"Liv\\u0065liness","nonce":1,"x":"\\ud83d\\ude00\\/"}'),
}
