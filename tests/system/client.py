"""A client of the protocol, written from docs/protocol.md alone.

It shares no code with the daemons and is not clever: plain blocking sockets,
the standard library's json and hashlib, threads where something must answer
by itself. What is in here:

    message(), encode(), frame()    a message as dict, as body, as bytes on the wire
    decode(), Frame                 and back, strictly
    Conn, request()                 one connection; one short conversation
    FakePeer, Link                  a peer that the tests control entirely
"""

import hashlib
import json
import socket
import struct
import threading
import time

import noise

VERSION = 1
HEAD_BYTES = 8
BODY_MIN = 2
BODY_MAX = 1572864
STRANGER_MAX = 512
RECOVERY = 1
SPREAD = 2
NO_LEASE = "0" * 32

MUST = object()  # the field has to be given
OPTIONAL = object()  # written only when given (and, for a flag, true)

# For each type its fields in the order in which they are written. Anything
# but MUST and OPTIONAL is the value that is written when none is given.
FIELDS = {
    "Register": {"address": MUST, "incarnation": MUST, "want": 32, "lease": OPTIONAL},
    "Get Peer List": {"want": 32},
    "Peer List": {"count": MUST, "peers": MUST, "you": OPTIONAL, "reachable": OPTIONAL,
                  "period_ms": OPTIONAL, "lease": OPTIONAL},
    "Death": {"address": MUST, "incarnation": MUST, "reporter": OPTIONAL, "reason": MUST,
              "lease": OPTIONAL},
    "Death Reply": {"verdict": MUST},
    "Peer Request": {"address": MUST, "incarnation": MUST, "neighbors": MUST, "urgent": False},
    "Peer Reply": {"verdict": MUST, "address": MUST, "incarnation": MUST, "neighbors": MUST,
                   "redirect": ()},
    "Liveliness": {"nonce": MUST},
    "Liveliness Reply": {"nonce": MUST, "address": MUST, "incarnation": MUST, "neighbors": MUST},
    "Message": {"origin": MUST, "incarnation": MUST, "seq": MUST, "time": MUST, "data": MUST,
                "encoding": OPTIONAL},
    "Have": {"ranges": MUST, "all": OPTIONAL, "more": OPTIONAL},
    "getData": {"ranges": OPTIONAL, "id": OPTIONAL, "graft": OPTIONAL},
    "Not Found": {"ranges": OPTIONAL, "id": OPTIONAL},
    "Graft": {"runs": MUST, "all": OPTIONAL},
    "Prune": {"runs": MUST},
    "Bye": {"reason": MUST},
}
# `false` is written for these; every other flag is left out when false.
WRITTEN_FALSE = ("urgent", "reachable")


class Ended(Exception):
    """The other side ended the connection; `reset` says how."""

    def __init__(self, reset):
        super().__init__("connection reset" if reset else "connection closed")
        self.reset = reset


class Malformed(Exception):
    """What came is not the protocol."""


# --- addresses ---------------------------------------------------------------


def join_address(host, port):
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_address(address):
    host, port = address.rsplit(":", 1)
    return host.strip("[]"), int(port)


# --- messages and frames -----------------------------------------------------


def message(kind, **given):
    """A message as a dict, its fields in the order of the document."""
    out = {"type": kind}
    for name, default in FIELDS[kind].items():
        if name in given:
            value = given.pop(name)
        elif default is MUST:
            raise TypeError(f"{kind} needs {name}")
        else:
            value = None if default is OPTIONAL else default
        if value is None or (value is False and name not in WRITTEN_FALSE):
            continue
        out[name] = value
    if given:
        raise TypeError(f"{kind} has no field {', '.join(given)}")
    return out


def encode(fields):
    """The body: no white space, UTF-8 as it is, fields as they come."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def frame(body, flags=0, hops=0):
    """Header and body. `body` may be bytes or a dict."""
    if isinstance(body, dict):
        body = encode(body)
    return struct.pack(">BBBBI", VERSION, flags, hops, 0, len(body)) + body


def message_id(body):
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _pairs(pairs):
    out = dict(pairs)
    if len(out) != len(pairs):
        raise Malformed("a key stands twice")
    return out


def _constant(text):
    raise Malformed(text)


def decode(body):
    try:
        fields = json.loads(body.decode("utf-8"), object_pairs_hook=_pairs,
                            parse_constant=_constant)
    except ValueError as why:
        raise Malformed(f"{why}: {body[:200]!r}") from why
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        raise Malformed(f"no message: {body[:200]!r}")
    return fields


class Frame:
    """What was received: header fields, the body as bytes and as a dict."""

    def __init__(self, flags, hops, body):
        self.flags = flags
        self.hops = hops
        self.body = body
        self.fields = decode(body)
        self.type = self.fields["type"]
        self.id = message_id(body)

    def __getitem__(self, name):
        return self.fields[name]

    def __repr__(self):
        return f"<frame flags={self.flags} hops={self.hops} {self.body[:300]!r}>"


def is_canonical(body):
    """Is this body written as the document says the daemons write?"""
    fields = decode(body)
    kind = fields.pop("type")
    return kind in FIELDS and encode(message(kind, **fields)) == body


class Membership:
    """The key that Conn dials with, and which addresses are seeds."""
    key, seeds = None, ()


membership = Membership()

# --- one connection ----------------------------------------------------------


class Conn:
    def __init__(self, address=None, sock=None, timeout=5.0, source=None):
        self.timeout = timeout
        self.held = b""
        if sock is None:
            where = split_address(address)
            local = None if source is None else (source, 0)
            sock = socket.create_connection(where, timeout, local)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        if membership.key and address is not None:
            self._greet(address)

    def _greet(self, address):
        role = noise.TO_SEED if address in membership.seeds else noise.TO_PEER
        try:
            self.sock = noise.Keyed(self.sock, membership.key, role)
        except ConnectionError as why:
            self.sock.close()
            raise Ended(True) from why

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    @property
    def local(self):
        return join_address(*self.sock.getsockname()[:2])

    def send_bytes(self, data):
        self.sock.settimeout(self.timeout)
        try:
            self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as why:
            raise Ended(True) from why

    def send(self, kind, flags=0, hops=0, **fields):
        self.send_bytes(frame(message(kind, **fields), flags, hops))

    def recv(self, timeout=None):
        """The next frame. Raises Ended, TimeoutError or Malformed."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        version, flags, hops, zero, size = struct.unpack(">BBBBI", self._take(HEAD_BYTES, deadline))
        if version != VERSION or flags & ~3 or zero or not BODY_MIN <= size <= BODY_MAX:
            raise Malformed(f"header {version} {flags} {hops} {zero} {size}")
        return Frame(flags, hops, self._take(size, deadline))

    def _take(self, n, deadline):
        while len(self.held) < n:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("nothing came in time")
            self.sock.settimeout(left)
            try:
                more = self.sock.recv(1 << 16)
            except TimeoutError:
                continue  # a sending thread may have set a shorter one
            except ConnectionResetError as why:
                raise Ended(True) from why
            if not more:
                raise Ended(False)
            self.held += more
        taken, self.held = self.held[:n], self.held[n:]
        return taken

    def ask(self, kind, timeout=None, **fields):
        """Sends a request and returns the next frame."""
        self.send(kind, **fields)
        return self.recv(timeout)

    def ends(self, timeout=5.0):
        """Does the other side end this connection within `timeout`? What it
        still sends is thrown away."""
        deadline = time.monotonic() + timeout
        try:
            while True:
                self.recv(max(0.0, deadline - time.monotonic()))
        except Ended:
            return True
        except TimeoutError:
            return False

    def finish(self):
        """Nothing more will be sent (half-close)."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def reset(self):
        """Ends with RST, as a killed process with unread input does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)  # wakes a reader in another thread
        except OSError:
            pass
        self.sock.close()


def request(where, kind, timeout=5.0, **fields):
    """One short conversation: connect, ask, answer, close."""
    with Conn(where, timeout=timeout) as conn:
        return conn.ask(kind, **fields)


def peer_list(address, want=1000, timeout=5.0):
    """The addresses a seed hands out, or the neighbors of a peer."""
    return request(address, "Get Peer List", timeout, want=want)["peers"]


def identity(address, timeout=5.0):
    """(address, incarnation) of the peer that listens there."""
    reply = request(address, "Liveliness", timeout, nonce=7)
    return reply["address"], reply["incarnation"]


# --- a peer under the control of a test --------------------------------------


class Link(Conn):
    """A connection of a FakePeer. A thread reads it: liveliness checks and
    requests are answered, and every frame is kept for wait()."""

    def __init__(self, owner, dialed, **how):
        super().__init__(**how)
        self.owner = owner
        self.dialed = dialed
        self.frames = []
        self.over = False
        self.changed = threading.Condition()
        self.sending = threading.Lock()
        self.reader = threading.Thread(target=self._read, daemon=True)

    def send_bytes(self, data):
        with self.sending:
            super().send_bytes(data)

    def _read(self):
        try:
            while True:
                got = self.recv(3600)
                with self.changed:
                    self.frames.append(got)
                    self.changed.notify_all()
                self.owner.answer(self, got)
        except (Ended, OSError, Malformed):
            pass
        with self.changed:
            self.over = True
            self.changed.notify_all()

    def wait(self, kind, timeout=5.0, where=None):
        """Takes the first frame of a type (and condition) out of those received."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                for i, got in enumerate(self.frames):
                    if got.type == kind and (where is None or where(got)):
                        return self.frames.pop(i)
                left = deadline - time.monotonic()
                if left <= 0 or self.over:
                    seen = [f.type for f in self.frames]
                    raise AssertionError(f"no {kind} came{' before the end' if self.over else ''}, "
                                         f"only {seen}")
                self.changed.wait(left)

    def wait_end(self, timeout=5.0):
        with self.changed:
            return self.changed.wait_for(lambda: self.over, timeout)

    def seen(self, kind):
        with self.changed:
            return [f for f in self.frames if f.type == kind]

    def ping(self, timeout=5.0):
        """A liveliness check there and back; everything sent before is then processed."""
        nonce = time.monotonic_ns() % (1 << 52)
        self.send("Liveliness", nonce=nonce)
        return self.wait("Liveliness Reply", timeout, lambda f: f["nonce"] == nonce)


class FakePeer:
    """Listens, answers as a peer must, and does nothing on its own account.

    verdict     what a Peer Request is answered with; None: not at all
    mute        True: nothing is answered (a stopped process: TCP still accepts)
    claims      the neighbor count it states
    neighbors   what it answers to Get Peer List
    """

    def __init__(self, host="127.0.0.1", port=0, incarnation=None):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((host, port))
        self.listener.listen(64)
        self.host = host
        self.port = self.listener.getsockname()[1]
        self.address = join_address(host, self.port)
        self.incarnation = incarnation or int(time.time() * 1000)
        self.verdict = "accepted"
        self.mute = False
        self.claims = 4
        self.neighbors = []
        self.seq = 0
        self.leases = {}
        self.links = []
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    @property
    def who(self):
        return {"address": self.address, "incarnation": self.incarnation}

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self._add(Link(self, False, sock=sock))

    def _add(self, link):
        with self.changed:
            self.links.append(link)
            self.changed.notify_all()
        link.reader.start()
        return link

    def answer(self, link, got):
        if self.mute:
            return
        if got.type == "Liveliness":
            link.send("Liveliness Reply", nonce=got["nonce"], neighbors=self.claims, **self.who)
        elif got.type == "Get Peer List":
            link.send("Peer List", count=len(self.neighbors), peers=self.neighbors)
        elif got.type == "Peer Request" and self.verdict:
            link.send("Peer Reply", verdict=self.verdict, neighbors=self.claims, **self.who)
        elif got.type == "Bye":
            link.finish()

    def register(self, seed, want=32, timeout=5.0, **fields):
        """Registers, and keeps the lease it is given. Returns the Peer List."""
        fields = {**self.who, **fields}
        answer = request(seed, "Register", timeout, want=want, **fields)
        if answer["lease"] != NO_LEASE:
            self.leases[seed] = answer["lease"]
        return answer

    def ask_link(self, peer, timeout=5.0, urgent=False, **fields):
        """Dials a peer and sends a Peer Request. Returns (link, Peer Reply)."""
        link = self._add(Link(self, True, address=peer, timeout=timeout))
        fields = {**self.who, "neighbors": self.claims, "urgent": urgent, **fields}
        link.send("Peer Request", **fields)
        return link, link.wait("Peer Reply", timeout)

    def link(self, peer, timeout=5.0, graft=True, **fields):
        """The same where nothing but acceptance will do. Returns the link, on which we are
        sent every message at once unless graft is False."""
        link, reply = self.ask_link(peer, timeout, **fields)
        assert reply["verdict"] == "accepted", reply
        if graft:
            link.send("Graft", runs=[], all=True)
            link.ping(timeout)  # it has been read
        return link

    def accepted(self, timeout=5.0, where=lambda link: True):
        """The first connection somebody else opened (and that meets a condition)."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                for link in self.links:
                    if not link.dialed and where(link):
                        return link
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError("nobody dialed")
                self.changed.wait(min(left, 0.02))

    def requested(self, timeout=5.0):
        """The first connection on which somebody asked to be a neighbor."""
        return self.accepted(timeout, lambda link: link.seen("Peer Request"))

    def next_message(self, data, **more):
        """The next Message of this run, as a dict."""
        self.seq += 1
        fields = {"origin": self.address, "incarnation": self.incarnation, "seq": self.seq,
                  "time": int(time.time() * 1000), "data": data, **more}
        return message("Message", **fields)

    def stop(self):
        """Nobody listens any more and every connection ends."""
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.thread.join(5)
        with self.changed:
            links = list(self.links)
        for link in links:
            link.close()
        for link in links:
            link.reader.join(5)
