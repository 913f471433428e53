"""One node: a process whose stdin is published and whose stdout is counted.

A line that is published starts with MARK, a letter for its phase, who published
it, its number and when: "~M0.17.123456789." and then padding up to its size. No
padding holds a MARK, so counting deliveries is counting marks; what was
delivered is parsed afterwards, when nothing is measured any more.
"""

import bisect
import fcntl
import os
import random
import re
import string
import subprocess
import time

MARK = b"~"
HEAD_BYTES = 64  # no head is longer
PIPE_BYTES = 1 << 20
READ_BYTES = 1 << 20
SPARSE_BYTES = 8192  # of longer lines only the heads are kept

_letters = random.Random(1).choices(string.ascii_letters + string.digits, k=1 << 17)
PADDING = "".join(_letters).encode()


def line(kind, publisher, number, size):
    """A line of that size, its line end included."""
    head = b"%s%c%d.%d.%d." % (MARK, kind, publisher, number, time.monotonic_ns())
    pad = max(0, size - len(head) - 1)
    start = number * 257 % (len(PADDING) - pad)
    return b"%s%s\n" % (head, PADDING[start:start + pad])


class Tape:
    """What a node printed in one phase, and when it was read."""

    def __init__(self, kind, room, sparse):
        self.mark = MARK + bytes([kind])
        self.sparse = sparse
        self.count = 0  # deliveries
        self.ends, self.times = [], []  # of each read: where it ends, when it was
        self.kept = bytearray(room)
        self.kept[::4096] = bytes(len(range(0, room, 4096)))  # touched now, not while measuring
        self.n = 0
        self.held = b""  # sparse: the begin of a head

    def read(self, fd):
        """How many bytes came; 0 at the end, -1 when there is nothing now."""
        if len(self.kept) - self.n < READ_BYTES:
            self.kept.extend(bytes(max(READ_BYTES, len(self.kept) // 2)))
        with memoryview(self.kept) as whole, whole[self.n:self.n + READ_BYTES] as room:
            try:
                got = os.readv(fd, [room])
            except BlockingIOError:
                return -1
        if got and self.sparse:
            self._keep_heads(self.held + bytes(self.kept[self.n:self.n + got]))
        elif got:
            self.count += self.kept.count(self.mark, max(0, self.n - 1), self.n + got)
            self.n += got
        self._stamp()
        return got

    def _stamp(self):
        self.ends.append(self.n)
        self.times.append(time.monotonic_ns())

    def _keep_heads(self, data):
        self.held = b""
        at = data.find(MARK)
        while at >= 0:
            if len(data) - at < HEAD_BYTES:
                self.held = data[at:]
                return
            head = data[at:at + HEAD_BYTES]
            self.kept[self.n:self.n + HEAD_BYTES] = head
            self.n += HEAD_BYTES
            self.count += head.startswith(self.mark)
            at = data.find(MARK, at + HEAD_BYTES)

    def names(self):
        """(deliveries, different ones)"""
        found = re.findall(re.escape(self.mark) + rb"(\d+\.\d+)\.", memoryview(self.kept)[:self.n])
        return len(found), len(set(found))

    def deliveries(self):
        """(name, sent_ns, read_ns) of each, in the order in which they came."""
        pattern = re.compile(re.escape(self.mark) + rb"(\d+\.\d+)\.(\d+)\.")
        for found in pattern.finditer(self.kept, 0, self.n):
            read = bisect.bisect_left(self.ends, found.end())
            yield found[1], int(found[2]), self.times[read]


class Node:
    def __init__(self, index, command, directory, wide):
        self.index = index
        self.begun_ns = time.monotonic_ns()
        with open(os.path.join(directory, f"node{index}.err"), "wb") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
                bufsize=0, cwd=directory, start_new_session=True)
        self.pid = self.process.pid
        self.stdin = self.process.stdin.fileno()
        self.stdout = self.process.stdout.fileno()
        for fd in (self.stdin, self.stdout):
            os.set_blocking(fd, False)
            if wide:
                self._widen(fd)
        self.ended = False
        self.unsent = memoryview(b"")
        self.tape = Tape(0, 1 << 16, False)

    @staticmethod
    def _widen(fd):
        try:
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            pass  # only a privileged user may have many

    def push(self):
        """Writes what its stdin takes now. True when nothing is left."""
        while self.unsent:
            try:
                self.unsent = self.unsent[os.write(self.stdin, self.unsent):]
            except BlockingIOError:
                return False
            except BrokenPipeError:
                self.unsent = memoryview(b"")
        return True

    def close(self):
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()
        self.process.wait()
