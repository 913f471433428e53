"""A bystander: one honest connection to a daemon, in a process of its own so that nothing
but the daemon decides how long its questions take.

usage: watch.py ADDRESS neighbor|visitor|caller SECONDS

It connects (a neighbor says Peer Request first, a caller connects anew for each
question), asks Liveliness once, prints "ready", and asks again and again until its stdin ends,
but QUESTIONS times at least. Then it prints how long each answer took, in ms, as one
JSON list. SECONDS is how long it waits for one; if none comes, or the connection ends,
it prints an object that says so. It imports little and reads nothing but headers and
nonces: it starts quickly and costs little."""

import json
import os
import select
import socket
import struct
import sys
import time

QUESTIONS = 20
HURRY = 0.003  # between the first questions
PACE = 0.03  # and between those after them
REPLY = b'{"type":"Liveliness Reply"'
ASKED = b'{"type":"Liveliness",'


def frame(body):
    return struct.pack(">II", 1 << 24, len(body)) + body


def nonce_of(body):
    start = body.index(b'"nonce":') + 8
    return int(body[start:].split(b",", 1)[0].rstrip(b"}"))


class Splitter:
    """Bytes as they come in, bodies out."""

    def __init__(self):
        self.held = bytearray()

    def feed(self, data):
        self.held += data
        at, n = 0, len(self.held)
        while n - at >= 8:
            size = int.from_bytes(self.held[at + 4:at + 8], "big")
            if n - at - 8 < size:
                break
            yield bytes(self.held[at + 8:at + 8 + size])
            at += 8 + size
        del self.held[:at]


class Watch:
    def __init__(self, address, role, patience):
        host, port = address.rsplit(":", 1)
        self.where = host.strip("[]"), int(port)
        self.patience = patience
        self.again = role == "caller"
        self.connect()
        self.who = "%s:%d" % (host, self.sock.getsockname()[1])
        self.born = int(time.time() * 1000)
        self.linked = role == "neighbor"
        if self.linked:
            self.sock.sendall(frame(json.dumps(
                {"type": "Peer Request", "address": self.who, "incarnation": self.born,
                 "neighbors": 4, "urgent": False}).encode()))
            reply = self.until(lambda body: b'"Peer Reply"' in body)
            if b'"accepted"' not in reply:
                raise ConnectionError("not accepted: %s" % reply.decode())

    def connect(self):
        self.sock = socket.create_connection(self.where, self.patience)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.splitter = Splitter()

    def until(self, wanted):
        """The first body that is wanted. Answers what it is asked meanwhile."""
        deadline = time.monotonic() + self.patience
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no answer within %g s" % self.patience)
            self.sock.settimeout(left)
            data = self.sock.recv(1 << 18)
            if not data:
                raise ConnectionError("the connection was closed")
            found = None
            for body in self.splitter.feed(data):
                if body.startswith(ASKED):
                    self.answer(nonce_of(body))
                elif found is None and wanted(body):
                    found = body
            if found is not None:
                return found

    def answer(self, nonce):
        self.sock.sendall(frame(b'{"type":"Liveliness Reply","nonce":%d,"address":"%s",'
                                b'"incarnation":%d,"neighbors":4}'
                                % (nonce, self.who.encode(), self.born)))

    def ask(self, nonce):
        """How long an answer takes, in ms."""
        start = time.monotonic()
        if self.again:
            old = self.sock
            self.connect()
            old.close()  # so there always is one, for whoever counts
        self.sock.sendall(frame(b'{"type":"Liveliness","nonce":%d}' % nonce))
        self.until(lambda body: body.startswith(REPLY) and nonce_of(body) == nonce)
        return (time.monotonic() - start) * 1000

    def leave(self):
        if self.linked:
            self.sock.sendall(frame(b'{"type":"Bye","reason":"shutdown"}'))
        self.sock.shutdown(socket.SHUT_WR)
        self.sock.settimeout(2)
        while self.sock.recv(1 << 18):
            pass


def main(address, role, patience):
    took = []
    try:
        watch = Watch(address, role, float(patience))
        took.append(watch.ask(1))  # the daemon has let it in
        print("ready", flush=True)
        while True:
            took.append(watch.ask(len(took) + 1))
            pause = HURRY if len(took) < QUESTIONS else PACE
            over = select.select([0], [], [], pause)[0] and not os.read(0, 1)
            if over:
                break
        while len(took) < QUESTIONS:
            took.append(watch.ask(len(took) + 1))
            time.sleep(HURRY)
    except OSError as why:
        print(json.dumps({"took": took, "failed": "%s" % why}), flush=True)
        return
    print(json.dumps({"took": took}), flush=True)
    try:
        watch.leave()
    except OSError:
        pass


if __name__ == "__main__":
    main(*sys.argv[1:])
