"""A network of nodes of one system, and the loop that feeds and reads them.

A system is a command for a node and maybe one for what must run before (a seed,
a broker). In a command {i} is the number of the node, {n} how many there are,
{base} the port of node 0, {port} that of this one, {boot} that of the seed or
broker, {dir} a directory of this run.
"""

import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass

import machine
from nodes import SPARSE_BYTES, Node, Tape, line

BOOT_SECONDS = 10
WIDE_MAX = 128  # with more nodes their pipes stay as they are


class Failed(Exception):
    """The network did not do what a measurement needs."""


@dataclass(frozen=True)
class System:
    name: str
    node: str
    boot: str = ""

    def missing(self):
        """The program that is not there, or ''."""
        for command in filter(None, (self.boot, self.node)):
            program = shlex.split(command)[0]
            if not shutil.which(program):
                return program
        return ""


class Network:
    def __init__(self, system, n, base):
        self.system, self.n, self.base, self.boot_port = system, n, base, base - 1
        self.dir = tempfile.mkdtemp(prefix="bench-")
        self.nodes, self.by_fd = [], {}
        self.epoll = select.epoll()
        self.boot = None
        self.kind = ord("P")
        self.total = 0  # deliveries of this phase, over all nodes

    def __enter__(self):
        try:
            self._start_boot()
            return self
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exc):
        self.close()

    # --- processes

    def _command(self, template, i=0):
        names = {"i": i, "n": self.n, "base": self.base, "port": self.base + i,
                 "boot": self.boot_port, "dir": self.dir}
        return [word.format(**names) for word in shlex.split(template)]

    def _start_boot(self):
        if not self.system.boot:
            return
        with open(os.path.join(self.dir, "boot.log"), "wb") as log:
            self.boot = subprocess.Popen(
                self._command(self.system.boot), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, cwd=self.dir, start_new_session=True)
        end = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < end and self.boot.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.boot_port)).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.01)
        raise Failed(f"{self.system.boot}: nobody listens on port {self.boot_port}")

    def start_node(self):
        node = Node(len(self.nodes), self._command(self.system.node, len(self.nodes)), self.dir,
                    self.n <= WIDE_MAX)
        self.nodes.append(node)
        self.by_fd[node.stdout] = self.by_fd[node.stdin] = node
        node.tape = Tape(self.kind, 1 << 16, False)
        self.epoll.register(node.stdout, select.EPOLLIN)
        return node

    def address(self, node):
        return f"127.0.0.1:{self.base + node.index}"

    def living(self):
        return [node for node in self.nodes if not node.ended]

    def node_pids(self):
        return machine.session_pids(node.pid for node in self.living())

    def boot_pids(self):
        return machine.session_pids([self.boot.pid]) if self.boot else []

    def pids(self):
        return self.node_pids() + self.boot_pids()

    def close(self):
        leaders = [node.process for node in self.nodes] + ([self.boot] if self.boot else [])
        # Who was waited for has given its number back: it may be another's now.
        for pid in machine.session_pids(p.pid for p in leaders if p.poll() is None):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for node in self.nodes:
            node.close()
        if self.boot:
            self.boot.wait()
        self.epoll.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    # --- the loop

    def poll(self, seconds):
        """Waits for something at most so long, then reads and writes what can be."""
        for fd, _what in self.epoll.poll(max(0.0, seconds), 256):
            node = self.by_fd[fd]
            if fd == node.stdin:
                if node.push():
                    self.epoll.unregister(fd)
                continue
            before = node.tape.count
            if node.tape.read(fd) == 0:
                node.ended = True
                self.epoll.unregister(fd)
            self.total += node.tape.count - before

    def run_for(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.poll(left)

    def run_until(self, done, seconds, stall):
        """Until done(), or the time is up, or nothing came for `stall` seconds."""
        end = time.monotonic() + seconds
        moved, last = time.monotonic(), self.total
        while not done():
            now = time.monotonic()
            if self.total != last:
                moved, last = now, self.total
            if now > end or now - moved > stall:
                return False
            self.poll(min(0.25, end - now))
        return True

    def begin(self, kind, messages=0, size=256):
        """A new phase: fresh tapes with room for that many messages."""
        self.kind, self.total = ord(kind), 0
        sparse = size >= SPARSE_BYTES
        room = messages * (HEAD_ROOM if sparse else size + 32) + (1 << 16)
        for node in self.nodes:
            node.tape = Tape(self.kind, room, sparse)

    def send(self, node, data):
        """Gives data to the stdin of a node, at once or as it takes it."""
        idle = not node.unsent
        node.unsent = memoryview(data if idle else node.unsent.tobytes() + data)
        if not node.push() and idle:
            self.epoll.register(node.stdin, select.EPOLLOUT)

    def publish(self, node, number, size):
        self.send(node, line(self.kind, node.index, number, size))

    # --- until all are one network

    def connect(self, timeout):
        """Starts all; node 0 publishes until everybody has heard of it. Seconds."""
        begin = time.monotonic()
        for _ in range(self.n):
            self.start_node()
            self.poll(0.003)
        number, pause = 0, 0.01
        while (missing := [node for node in self.nodes[1:] if not node.tape.count]):
            if time.monotonic() - begin > timeout:
                raise Failed(f"{self.system.name}: {len(missing)} of {self.n} nodes heard "
                             f"nothing in {timeout} s")
            self.publish(self.nodes[0], number, 64)
            self.run_for(pause)
            number, pause = number + 1, min(1.0, pause * 1.2)
        return time.monotonic() - begin


HEAD_ROOM = 72  # of a tape, for a head
