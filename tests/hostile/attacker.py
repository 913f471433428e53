"""Somebody who speaks the protocol and means no good.

    Sent, volley()     many short connections at once: what was sent, how each ended
    Neighbor           an accepted link that may say anything; it throws away what it hears
    request_frame()    the Peer Request that makes a connection a link
    FakeSeed           a seed that says what a test wants
"""

import contextlib
import select
import socket
import struct
import threading
import time

from net import SLOW, free_port
from watch import Splitter, nonce_of

import client
from client import frame, message

BOUND = 2.0  # within this a connection that broke the rules is ended
AT_ONCE = 48  # connections of one volley: below the cap of a peer
LINKS_AT_ONCE = 6  # and links, below the 12 that a peer has
T = 5 * SLOW


def incarnation():
    return int(time.time() * 1000)


def liveliness(nonce=1):
    return frame(message("Liveliness", nonce=nonce))


def request_frame(address=None, born=None, **more):
    """Peer Request of somebody who was never heard of before."""
    address = address or f"127.0.0.1:{free_port('127.0.0.1')}"
    fields = {"address": address, "incarnation": born or incarnation(), "neighbors": 4, **more}
    return frame(message("Peer Request", **fields))


# --- many short connections --------------------------------------------------


class Sent:
    """One connection of a volley."""

    def __init__(self, data):
        self.data = data
        self.answer = b""
        self.ended = False  # by the other side
        self.reset = False
        self.sock = None

    def bodies(self):
        return list(Splitter().feed(self.answer))

    def open(self, address, finish):
        self.sock = socket.create_connection(client.split_address(address), T)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(T)
        try:
            self.sock.sendall(self.data)
            if finish:
                self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # ended already: seen when it is read
        self.sock.setblocking(False)

    def read(self):
        """Is it over?"""
        try:
            data = self.sock.recv(1 << 16)
        except BlockingIOError:
            return False
        except OSError:
            self.ended = self.reset = True
            return True
        self.answer += data
        self.ended = not data
        return self.ended


def volley(address, payloads, finish=False, bound=BOUND, at_once=AT_ONCE):
    """Sends each of the payloads on a connection of its own and waits for the other side to end
    it. finish: half-close behind it. What is not ended within the bound is closed by us."""
    out = [Sent(data) for data in payloads]
    waiting = iter(out)
    poll = select.poll()
    flying = {}

    def fly():
        for sent in waiting:
            sent.open(address, finish)
            flying[sent.sock.fileno()] = sent, time.monotonic() + bound * SLOW
            poll.register(sent.sock, select.POLLIN)
            return

    def land(fd):
        poll.unregister(fd)
        flying.pop(fd)[0].sock.close()
        fly()
    for _ in range(at_once):
        fly()
    while flying:
        for fd, _ in poll.poll(50):
            if flying[fd][0].read():
                land(fd)
        now = time.monotonic()
        for fd in [fd for fd, (_, until) in flying.items() if now > until]:
            land(fd)
    return out


# --- a neighbor --------------------------------------------------------------


class Neighbor(client.Conn):
    """Links itself to a peer. Unless deaf, a thread reads what comes, answers Liveliness and
    counts the rest by type; ping() returns when all that was sent before has been handled."""

    def __init__(self, address, deaf=False, buffer=None, **request):
        sock = socket.socket(socket.AF_INET6 if "[" in address else socket.AF_INET)
        if buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sock.settimeout(T)
        sock.connect(client.split_address(address))
        super().__init__(sock=sock, timeout=T)
        self.address = request.pop("address", None) or f"127.0.0.1:{free_port('127.0.0.1')}"
        self.born = request.pop("born", None) or incarnation()
        self.send_bytes(request_frame(self.address, self.born, **request))
        reply = self.recv(T)
        assert reply["verdict"] == "accepted", reply
        self.over = False
        self.heard = {}  # how often, by type
        self.nonces = set()
        self.changed = threading.Condition()
        self.thread = None
        if not deaf:
            self.listen()

    def listen(self):
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def _listen(self):
        splitter = Splitter()
        data = self.held
        with contextlib.suppress(OSError, client.Ended):
            while True:
                with self.changed:
                    for body in splitter.feed(data):
                        self._note(body)
                    self.changed.notify_all()
                data = self._more()
                if not data:
                    break
        with self.changed:
            self.over = True
            self.changed.notify_all()

    def _more(self):
        while True:
            try:
                return self.sock.recv(1 << 18)
            except TimeoutError:
                continue  # of somebody who sends

    def _note(self, body):
        kind = body[9:body.index(b'"', 9)].decode()  # behind {"type":"
        self.heard[kind] = self.heard.get(kind, 0) + 1
        if kind == "Liveliness Reply":
            self.nonces.add(nonce_of(body))
        elif kind == "Liveliness":
            self.send("Liveliness Reply", nonce=nonce_of(body), address=self.address,
                      incarnation=self.born, neighbors=4)

    def ping(self, seconds=10):
        nonce = time.monotonic_ns() % (1 << 52)
        self.send("Liveliness", nonce=nonce)
        with self.changed:
            self.changed.wait_for(lambda: nonce in self.nonces or self.over, seconds * SLOW)
            assert nonce in self.nonces, "the link was ended" if self.over else "no answer"

    def wait_end(self, seconds):
        with self.changed:
            return self.changed.wait_for(lambda: self.over, seconds * SLOW)

    def pour(self, data, seconds=30):
        """Sends a lot, however slowly it is taken. False: the link was ended meanwhile."""
        self.sock.settimeout(seconds * SLOW)
        try:
            self.sock.sendall(data)
        except TimeoutError:
            raise
        except OSError:
            return False
        return True

    def leave(self):
        """As an honest neighbor does, so that nobody is reported."""
        with contextlib.suppress(OSError, client.Ended):
            self.send("Bye", reason="shutdown")
            self.finish()
            self.wait_end(2) if self.thread else self.ends(2 * SLOW)
        self.close()

    def close(self):
        super().close()
        if self.thread:
            self.thread.join(5)


class Voice:
    """The messages of a run that nobody started."""

    def __init__(self, origin=None, born=None):
        self.origin = origin or f"127.0.0.1:{free_port('127.0.0.1')}"
        self.born = born or incarnation()
        self.seq = 0

    def say(self, data="x", flags=0, hops=0, seq=None, **more):
        """The next Message, as a frame."""
        self.seq = seq or self.seq + 1
        fields = {"origin": self.origin, "incarnation": self.born, "seq": self.seq,
                  "time": 1, "data": data, **more}
        return frame(message("Message", **fields), flags, hops)


# --- a seed ------------------------------------------------------------------


class FakeSeed(client.FakePeer):
    """Answers what a seed is asked with the addresses it was given, true or not, and keeps what
    it was told in `deaths`."""

    def __init__(self, peers, **how):
        self.peers = list(peers)
        self.deaths = []
        super().__init__(**how)
        self.verdict = "busy"  # it is no peer

    def listing(self, got):
        """The fields of the Peer List that answers this."""
        peers = [p for p in self.peers if p != got.fields.get("address")]
        want = min(len(peers), got.fields.get("want", 32))
        return {"count": len(peers), "peers": peers[:want]}

    def answer(self, link, got):
        with contextlib.suppress(OSError, client.Ended):
            if got.type == "Register":
                link.send("Peer List", you=got["address"], reachable=True, period_ms=60000,
                          lease="f" * 32, **self.listing(got))
            elif got.type == "Get Peer List":
                link.send("Peer List", **self.listing(got))
            elif got.type == "Death":
                self.deaths.append(got["address"])
                link.send("Death Reply", verdict="verifying")
            else:
                super().answer(link, got)


# --- ends --------------------------------------------------------------------


def reset(sock):
    """Ends a socket with RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
