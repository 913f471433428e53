"""Connections: too many, too slow, too large, and ended at the worst moment. Nobody who is
linked may notice, and whoever speaks at once is served."""

import contextlib
import os
import resource
import socket
import threading
import time

import frames
import pytest
import tally
from attacker import BOUND, T, Neighbor, Voice, liveliness, request_frame, reset, volley
from net import FULL, SLOW, ms, wait_until
from town import bystander, resident

import client
from client import Conn, frame, message

SEED_CAP, PEER_CAP = 1024, 64  # the defaults
SPARE = 32  # threads and descriptors a daemon may have above its cap
EVERY = 250  # connects of a flood; then somebody honest comes
MIB = 1 << 20


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


PF_EXITING = 4  # in the flags of /proc/PID/stat


def living_threads(pid):
    """Without those that have ended and that the kernel has not put away yet."""
    count = 0
    for tid in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{tid}/stat") as f:
            count += not int(f.read().rsplit(")", 1)[1].split()[6]) & PF_EXITING
    return count


class Gauge:
    """The most threads, descriptors and memory that a process had meanwhile."""

    def __init__(self, process, enough=0):
        self.process = process
        self.enough = enough  # threads beyond this are looked at closely
        self.threads = self.fds = self.memory = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def look(self):
        threads = self.process.threads()
        if threads > self.enough:
            threads = living_threads(self.process.pid)
        self.threads = max(self.threads, threads)
        self.fds = max(self.fds, self.process.fds())
        self.memory = max(self.memory, resident(self.process.pid))

    def _watch(self):
        while not self.over.wait(0.01):
            self.look()

    def __enter__(self):
        self.before = resident(self.process.pid)
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.thread.join()
        self.look()

    @property
    def grown(self):
        return self.memory - self.before


def both(town):
    return [(town.seed, SEED_CAP), (town.victim, PEER_CAP)]


def dial(daemon):
    sock = socket.create_connection(client.split_address(daemon.address), T)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def close_all(socks):
    for sock in socks:
        sock.close()


@contextlib.contextmanager
def bystanders(town, kind):
    """At the seed and at the victim; hostile inputs are counted once."""
    with bystander(town, kind, town.seed) as a, bystander(town, kind) as b:
        yield a
        b.inputs = 1


POOLS = ("seed-client", "dialer", "verify")  # these threads stay for a while, for more work


def threads_of(daemon):
    """Their names, without those of pools."""
    names = []
    for tid in os.listdir(f"/proc/{daemon.pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{daemon.pid}/task/{tid}/comm") as f:
            names.append(f.read().strip())
    return sorted(name for name in names if name not in POOLS)


def base_of(daemon):
    return len(threads_of(daemon)), daemon.fds()


def back_to(daemon, base, after="that"):
    """Threads and descriptors are as they were."""
    def is_back():
        now = base_of(daemon)
        return now if now[0] <= base[0] and now[1] <= base[1] else None
    try:
        wait_until(is_back, 20)
    except AssertionError:
        raise AssertionError(f"after {after} {daemon.name} has {base_of(daemon)} threads and "
                             f"descriptors, before {base}: {threads_of(daemon)}") from None


# --- slowloris ---------------------------------------------------------------

WHOLE = liveliness()
SLOW_ONES = {
    "nothing": (b"", b""),
    "half a header": (WHOLE[:4], b""),
    "half a body": (WHOLE[:20], b""),
    "a byte now and then": (frames.head(500) + b"{", b" "),
}


@pytest.mark.parametrize("what", SLOW_ONES)
def test_500_who_are_slow_to_say_anything_are_cut_off(build, what):
    """At the seed they all find a place; at the peer they push out one another."""
    town = build(seed__handshake=ms(1000), liveness__handshake=ms(1000))
    begins, dribble = SLOW_ONES[what]
    base = [base_of(daemon) for daemon, _ in both(town)]
    with bystanders(town, f"slowloris: {what}") as b:
        gauges = [Gauge(daemon, cap + SPARE) for daemon, cap in both(town)]
        with gauges[0], gauges[1]:
            start = time.monotonic()
            flood = [dial(daemon) for _ in range(500) for daemon, _ in both(town)]
            for sock in flood:
                with contextlib.suppress(OSError):
                    sock.send(begins)
                sock.setblocking(False)
            b.inputs += len(flood)
            left = flood
            while left:
                left = [sock for sock in left if not is_over(sock, dribble)]
                took = time.monotonic() - start
                assert took < (1 + BOUND) * SLOW, f"{len(left)} are still there"
                time.sleep(0.05)
        close_all(flood)
        for (_, cap), gauge in zip(both(town), gauges):
            assert gauge.threads <= cap + SPARE and gauge.fds <= cap + SPARE
    for (daemon, _), had in zip(both(town), base):
        back_to(daemon, had)
        counted = town.rejected(daemon)
        assert counted["handshake"] + counted["evicted"] >= 500


def is_over(sock, dribble):
    try:
        if dribble:
            sock.send(dribble)
        return sock.recv(100) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


# --- floods ------------------------------------------------------------------


def serve_newcomer(daemon, born):
    """Somebody honest who says at once what he came for is answered."""
    start = time.monotonic()
    with Conn(daemon.address, timeout=BOUND * SLOW) as conn:
        conn.send("Liveliness", nonce=born)
        assert conn.recv()["nonce"] == born
    return time.monotonic() - start


def flood(daemon, n, hold, took, say=b""):
    """n connections, of which the newest `hold` are kept open; honest newcomers in between.
    Returns those that are open."""
    kept = []
    for i in range(n):
        sock = dial(daemon)
        if say:
            with contextlib.suppress(OSError):
                sock.sendall(say)
        kept.append(sock)
        if len(kept) > hold:
            kept.pop(0).close()
        if i % EVERY == EVERY - 1:
            took.append(serve_newcomer(daemon, i))
    return kept


@pytest.mark.parametrize("what, say", [("silent", b""), ("asking once", WHOLE)],
                         ids=["silent", "asking"])
@pytest.mark.parametrize("which", ["seed", "peer"])
def test_10000_connects_shut_out_nobody(build, which, what, say):
    town = build()
    daemon, cap = both(town)[which == "peer"]
    base = base_of(daemon)
    n = 10000 if FULL or not say else 2000
    took = []
    with bystander(town, f"connection flood, {what}", daemon) as b, \
            Gauge(daemon, cap + SPARE) as gauge:
        kept = flood(daemon, n, 2 * cap, took, say)
        b.inputs += n
    close_all(kept)
    assert gauge.threads <= cap + SPARE, gauge.threads
    assert gauge.fds <= cap + SPARE, gauge.fds
    assert max(took) <= BOUND * SLOW
    assert town.rejected(daemon)["evicted"] > 0
    back_to(daemon, base)


@pytest.mark.parametrize("which", ["seed", "peer"])
def test_a_door_full_of_silent_strangers_opens_for_who_speaks(build, which):
    town = build()
    daemon, cap = both(town)[which == "peer"]
    with bystander(town, "a door full of silent strangers", daemon) as b:
        kept = [dial(daemon) for _ in range(cap)]
        b.inputs += cap
        for i in range(50):
            assert serve_newcomer(daemon, i) <= BOUND * SLOW
        if which == "peer":
            late = Neighbor(daemon.address)
            late.ping()
            late.leave()
    close_all(kept)
    assert town.rejected(daemon)["evicted"] > 0


def test_links_are_never_evicted_and_then_newcomers_are_closed(build):
    """Only when every place is a link nobody is let in any more."""
    town = build(peer__max_connections=5)
    links = [Neighbor(town.victim.address) for _ in range(2)]
    with bystander(town, "every place is a link") as b:
        sent = volley(town.victim.address, [liveliness()] * 50)
        b.inputs += len(sent)
        assert all(one.ended and not one.answer for one in sent)
        for link in links:
            link.ping()
    assert town.rejected(town.victim)["connections"] >= 50
    for link in links:
        link.leave()


@pytest.mark.parametrize("which", ["seed", "peer"])
def test_a_daemon_out_of_descriptors_lives_and_does_not_spin(build, which):
    town = build()
    daemon, _ = both(town)[which == "peer"]
    with bystander(town, "no descriptor left", daemon,
                   role="caller" if which == "seed" else "neighbor") as b:
        used = daemon.fds()
        limits = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (used + 8, limits[1]))
        kept = [dial(daemon) for _ in range(200)]
        b.inputs += len(kept)
        before = cpu_seconds(daemon.pid)
        for i in range(10):
            assert serve_newcomer(daemon, i) <= BOUND * SLOW
        time.sleep(0.5)  # time is what this is about: what does it do in it?
        assert cpu_seconds(daemon.pid) - before < 0.3 * SLOW
        close_all(kept)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limits)
    counted = town.rejected(daemon)
    assert counted["descriptors"] + counted["evicted"] > 0


@pytest.mark.parametrize("which", ["seed", "peer"])
def test_connects_that_end_at_once_leave_nothing_behind(town, which):
    daemon, cap = both(town)[which == "peer"]
    base = base_of(daemon)
    with bystander(town, "connect and go", daemon) as b:
        for i in range(1000):
            sock = dial(daemon)
            if i % 3 == 0:
                sock.sendall(WHOLE)
            reset(sock) if i % 2 else sock.close()
        b.inputs += 1000
    back_to(daemon, base)


# --- memory before introduction ----------------------------------------------

HUNDRED_MB = 100 * 1000 * 1000
PIECE = 1 << 20


def pour(daemon, first, piece):
    """100 MB on one connection, or as much of it as is taken."""
    sock = dial(daemon)
    sent = 0
    with contextlib.suppress(OSError):
        sock.sendall(first)
        while sent < HUNDRED_MB:
            sock.sendall(piece)
            sent += len(piece)
    sock.close()


def unknown_frames():
    """A mebibyte of frames as long as a stranger may send, of a type nobody knows."""
    one = frame({"type": "Gossip", "x": "y" * 480})
    assert len(one) <= 520
    return one * (PIECE // len(one))


POURS = {
    "a length of 100 MB": lambda: (frames.head(HUNDRED_MB), b"x" * PIECE),
    "garbage": lambda: (b"", b"\xa5" * PIECE),
    "unknown types": lambda: (b"", unknown_frames()),
    "the longest body": lambda: (frames.head(client.BODY_MAX), b" " * PIECE),
    "one string": lambda: (frames.head(512) + b'{"x":"', b"y" * PIECE),
}


def test_14_senders_of_100_mb_before_introduction_cost_nothing(build):
    """An unknown type is no introduction: whoever says nothing else is cut off in time."""
    town = build(seed__handshake=ms(1000), liveness__handshake=ms(1000))
    for daemon, _ in both(town):
        with bystander(town, "14 x 100 MB before introduction", daemon) as b:
            serve_newcomer(daemon, 1)
            with Gauge(daemon) as gauge:
                for what in POURS if FULL else list(POURS)[:3]:
                    first, piece = POURS[what]()
                    threads = [threading.Thread(target=pour, args=(daemon, first, piece))
                               for _ in range(14)]
                    for t in threads:
                        t.start()
                    for t in threads:
                        t.join()
                    b.inputs += 14
        name = "seed" if daemon is town.seed else "peer"
        if SLOW == 1:  # a sanitizer has memory of its own
            tally.growth[f"memory of a {name}, 14 senders of 100 MB"] = gauge.grown
            assert gauge.grown <= 2 * MIB, f"{name} grew by {gauge.grown} bytes"


# --- answers that nobody reads -----------------------------------------------


@pytest.mark.parametrize("which", ["seed", "peer"])
def test_who_asks_on_and_on_and_never_reads_holds_up_nobody(build, which):
    town = build(seed__idle=ms(1500))
    daemon, _ = both(town)[which == "peer"]
    questions = frame(message("Get Peer List", want=1000)) * 20000
    with bystander(town, "requests whose answers nobody reads", daemon) as b:
        with Gauge(daemon) as gauge:
            kept = []
            for _ in range(20):
                sock = socket.socket()
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                sock.connect(client.split_address(daemon.address))
                sock.setblocking(False)
                kept.append(sock)
            sent = [0] * len(kept)
            end = time.monotonic() + 1.5
            while time.monotonic() < end:
                for i, sock in enumerate(kept):
                    with contextlib.suppress(OSError):
                        sent[i] += sock.send(questions[sent[i] % 34:])
                time.sleep(0.01)
            b.inputs += len(kept)
        assert gauge.grown < 20 * MIB or SLOW > 1
        serve_newcomer(daemon, 1)
    close_all(kept)


# --- ends in every state -----------------------------------------------------


def half(data):
    return data[:len(data) // 2]


def linked(daemon, more=b""):
    conn = Conn(daemon.address, timeout=T)
    conn.send_bytes(request_frame())
    assert conn.recv()["verdict"] == "accepted"
    conn.send_bytes(more)
    return conn


def with_answers_under_way(daemon):
    """Linked, has said 300 messages and asked for all of them, and reads nothing."""
    conn, voice = linked(daemon), Voice()
    conn.send_bytes(b"".join(voice.say("z" * 5000) for _ in range(300)))
    conn.send("getData", ranges=[[voice.origin, voice.born, 1, 300]], graft=True)
    return conn


def said(data):
    def start(daemon):
        conn = Conn(daemon.address, timeout=T)
        conn.send_bytes(data())
        return conn
    return start


STATES = {
    "connected": said(lambda: b""),
    "half a header said": said(lambda: WHOLE[:5]),
    "half a body said": said(lambda: half(WHOLE)),
    "asked for life": said(lambda: WHOLE),
    "asked for a list": said(lambda: frame(message("Get Peer List"))),
    "half a request said": said(lambda: half(request_frame())),
    "asked to be a neighbor": said(request_frame),
    "linked": linked,
    "linked, half a message said": lambda d: linked(d, half(Voice().say("x" * 1000))),
    "linked, a Bye said": lambda d: linked(d, frame(message("Bye", reason="rotate"))),
    "linked, answers under way": with_answers_under_way,
}


ENDS = {"reset": Conn.reset, "end of stream": Conn.close, "half-close": Conn.finish}


@pytest.mark.parametrize("end", ENDS)
def test_a_connection_may_end_in_any_state(town, end):
    with bystander(town, f"{end} in any state") as b:
        base = base_of(town.victim)
        for state, enter in STATES.items():
            for _ in range(3):
                conn = enter(town.victim)
                ENDS[end](conn)
                if end == "half-close":
                    assert conn.ends(10 * SLOW), state
                    conn.close()
                b.inputs += 1
            back_to(town.victim, base, state)


@pytest.mark.parametrize("end", ENDS)
def test_the_one_that_is_dialed_back_may_end_the_connection(town, end):
    """The twelfth state: a seed has dialed and asked."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(T)
    address = "127.0.0.1:%d" % listener.getsockname()[1]
    with bystander(town, f"{end} in any state", town.seed) as b:
        base = base_of(town.seed)
        for _ in range(3):
            with Conn(town.seed.address, timeout=T) as conn:
                conn.send("Register", address=address, incarnation=1)
                back = Conn(sock=listener.accept()[0], timeout=T)
                back.recv()
                ENDS[end](back)
                assert conn.recv()["reachable"] is False
                back.close()
            b.inputs += 1
        back_to(town.seed, base)
    listener.close()
