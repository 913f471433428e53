"""The keyed channel, written from section 12 of docs/protocol.md alone: pure Python, slow,
and with no code in common with the daemons.

    make_key(), key_id()    a key as it stands in a key file; what it is called
    Keyed                   a socket that greets, seals and opens
"""

import base64
import hashlib
import hmac
import os
import struct

TO_PEER, TO_SEED = 1, 2
MAGIC = b"\xd5SnP"
NAME = b"Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b"
RECORD_MAX = 16384
TAG = 16
REKEY_RECORDS = 1 << 20
P = 2**255 - 19


def make_key():
    return base64.b64encode(os.urandom(32)).decode()


def secret_of(key):
    return base64.b64decode(key)


def key_id(key):
    return hashlib.blake2b(b"id", key=secret_of(key), digest_size=16).digest()[:8]


# --- X25519 (RFC 7748) ---------------------------------------------------------


def x25519(secret, point):
    k = int.from_bytes(secret, "little") & ~7 & ~(1 << 255) | 1 << 254
    x1 = int.from_bytes(point, "little") & ((1 << 255) - 1)
    x2, z2, x3, z3, swapped = 1, 0, x1, 1, 0
    for bit in reversed(range(255)):
        now = k >> bit & 1
        if now != swapped:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swapped = now
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a, b * b, d * a, c * b
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swapped:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


BASE = (9).to_bytes(32, "little")

# --- ChaCha20-Poly1305 (RFC 8439) -----------------------------------------------


def _turn(s, a, b, c, d):
    for x, y, z, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xffffffff
        v = s[z] ^ s[x]
        s[z] = (v << bits | v >> 32 - bits) & 0xffffffff


def _block(key, count, nonce):
    begin = list(struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", count) + nonce))
    s = begin[:]
    for _ in range(10):
        for i in range(4):
            _turn(s, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            _turn(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<16I", *((x + y) & 0xffffffff for x, y in zip(s, begin)))


def _stream(key, nonce, data):
    n = len(data)
    pad = b"".join(_block(key, 1 + i, nonce) for i in range((n + 63) // 64))[:n]
    return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(n, "big")


def _tag(key, nonce, ad, sealed):
    one = _block(key, 0, nonce)
    r = int.from_bytes(one[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    total = 0
    padded = [text + bytes(-len(text) % 16) for text in (ad, sealed)]
    for at in range(0, len(both := b"".join(padded) + struct.pack("<QQ", len(ad), len(sealed))), 16):
        total = (total + int.from_bytes(both[at:at + 16] + b"\x01", "little")) * r % (2**130 - 5)
    return ((total + int.from_bytes(one[16:32], "little")) % 2**128).to_bytes(16, "little")


class Half:
    def __init__(self, key):
        self.key, self.counter = key, 0

    def _nonce(self):
        return bytes(4) + struct.pack("<Q", self.counter)

    def _move_on(self):
        self.counter += 1
        if self.counter % REKEY_RECORDS == 0:
            self.key = _stream(self.key, bytes(4) + b"\xff" * 8, bytes(32))

    def seal(self, ad, data):
        sealed = _stream(self.key, self._nonce(), data)
        out = sealed + _tag(self.key, self._nonce(), ad, sealed)
        self._move_on()
        return out

    def open(self, ad, data):
        sealed, tag = data[:-TAG], data[-TAG:]
        if not hmac.compare_digest(tag, _tag(self.key, self._nonce(), ad, sealed)):
            raise ConnectionError("forged")
        out = _stream(self.key, self._nonce(), sealed)
        self._move_on()
        return out


# --- the handshake (Noise, revision 34, section 5) -------------------------------


def _hkdf(chain, data, count):
    temp, out = hmac.digest(chain, data, "blake2b"), [b""]
    for i in range(count):
        out.append(hmac.digest(temp, out[-1] + bytes([i + 1]), "blake2b"))
    return out[1:]


class Handshake:
    """Of who dials."""

    def __init__(self, key, role):
        self.hello = MAGIC + bytes([1, 1, role, 0]) + key_id(key)
        self.hash = self.chain = NAME.ljust(64, b"\0")
        self._mix_hash(self.hello)
        self.chain, extra, temp = _hkdf(self.chain, secret_of(key), 3)
        self._mix_hash(extra)
        self.half = Half(temp[:32])
        self.secret = os.urandom(32)

    def _mix_hash(self, data):
        self.hash = hashlib.blake2b(self.hash + data).digest()

    def _mix_key(self, data):
        self.chain, temp = _hkdf(self.chain, data, 2)
        self.half = Half(temp[:32])

    def first(self):
        mine = x25519(self.secret, BASE)
        self._mix_hash(mine)
        self._mix_key(mine)
        sealed = self.half.seal(self.hash, b"")
        self._mix_hash(sealed)
        return self.hello + mine + sealed

    def second(self, answer):
        """(what we send, what we receive)"""
        theirs, sealed = answer[:32], answer[32:]
        self._mix_hash(theirs)
        self._mix_key(theirs)
        self._mix_key(x25519(self.secret, theirs))
        assert self.half.open(self.hash, sealed) == b""
        self._mix_hash(sealed)
        return [Half(temp[:32]) for temp in _hkdf(self.chain, b"", 2)]


# --- a socket --------------------------------------------------------------------


class Keyed:
    """Like the socket it is made of, for who dialed."""

    def __init__(self, sock, key, role):
        self.raw = sock
        self.held = self.plain = b""
        self.ended = False
        handshake = Handshake(key, role)
        sock.sendall(handshake.first())
        self.out, self.into = handshake.second(self._exactly(48))

    def __getattr__(self, name):
        return getattr(self.raw, name)

    def _exactly(self, n):
        while len(self.held) < n:
            got = self.raw.recv(65536)
            if not got:
                raise ConnectionResetError("closed without an answer")
            self.held += got
        out, self.held = self.held[:n], self.held[n:]
        return out

    def record(self, data):
        head = struct.pack(">I", len(data) + TAG)
        return head + self.out.seal(head, data)

    def sendall(self, data):
        for at in range(0, len(data), RECORD_MAX):
            self.raw.sendall(self.record(data[at:at + RECORD_MAX]))

    def recv(self, n):
        while not self.plain and not self.ended:
            while len(self.held) < 4 or len(self.held) < 4 + int.from_bytes(self.held[:4], "big"):
                got = self.raw.recv(65536)
                if not got:
                    raise ConnectionResetError("cut")
                self.held += got
            head = self._exactly(4)
            self.plain = self.into.open(head, self._exactly(int.from_bytes(head, "big")))
            self.ended = not self.plain
        out, self.plain = self.plain[:n], self.plain[n:]
        return out

    def shutdown(self, how):
        self.raw.sendall(self.record(b""))
        self.raw.shutdown(how)
