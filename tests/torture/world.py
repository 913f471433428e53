"""The network under torture: 20 places for peers, 3 for seeds, one process at a time in
each, what it was told to say and what it printed.

Three threads: the main one starts and ends processes, `reading` takes what they print,
`saying` gives them lines. A Runner belongs to one place and one process; `mu` guards what
they share of it.
"""

import contextlib
import datetime
import fcntl
import json
import os
import re
import selectors
import signal
import subprocess
import threading
import time
import traceback
from collections import Counter
from pathlib import Path

from net import PEER, REPORT, SEED, Process

TERM_BIT = 1 << (signal.SIGTERM - 1)
PENDING_MAX = 1 << 18  # bytes that wait for a peer that does not read its stdin


def text(name, n):
    """The nth line of that publisher; anybody can tell whether it is right."""
    size = 20 + n * 7919 % 180
    if n % 1009 == 0:
        size = 60_000
    elif n % 97 == 0:
        size = 5_000
    return f"{name} {n} " + "abcdefghijklmnopqrstuvwxyz"[n % 26] * size


def is_right(data, seq):
    return data == text(data.split(" ", 1)[0], seq)


class Runner:
    """One peer process."""

    def __init__(self, world, place, process, address, sends, catches_up):
        self.place = place
        self.process = process
        self.address = address
        self.sends = sends
        self.catches_up = catches_up  # it is owed what was said before it came
        self.name = f"{place.number}.{place.generation}"
        self.world = world
        self.heard = {}  # (w) run: set of seqs
        self.gaps = []   # (w) what it said nobody has
        self.fed = 0     # (w) lines it was given
        self.pending = bytearray()
        self.part = b""
        self.unread_until = 0.0
        self.stopped = False
        self.leaving = False
        self.out = process.popen.stdout.fileno()
        os.set_blocking(self.out, False)
        if sends:
            os.set_blocking(process.popen.stdin.fileno(), False)
            with contextlib.suppress(OSError):
                fcntl.fcntl(process.popen.stdin.fileno(), fcntl.F_SETPIPE_SZ, 65536)

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process.popen.returncode is None

    def feed(self, n):
        """n more lines for its stdin."""
        with self.world.mu:
            for _ in range(n):
                if len(self.pending) > PENDING_MAX:
                    return
                self.fed += 1
                self.pending += text(self.name, self.fed).encode() + b"\n"

    def push(self):
        """Gives it what its stdin takes."""
        with self.world.mu, contextlib.suppress(BlockingIOError, BrokenPipeError, ValueError):
            while self.pending:
                n = os.write(self.process.popen.stdin.fileno(), self.pending[:65536])
                del self.pending[:n]

    def take(self, chunk):
        """Whole lines of what it printed."""
        *lines, self.part = (self.part + chunk).split(b"\n")
        with self.world.mu:
            for line in lines:
                self.world.on_line(self, json.loads(line))


class Place:
    def __init__(self, number, host, steady, sends):
        self.number = number
        self.host = host
        self.steady = steady  # whoever is here lives throughout
        self.sends = sends
        self.generation = 0
        self.port = 0
        self.runner = None
        self.back_at = None   # when somebody is to be here again


class SeedPlace:
    def __init__(self, number, host, address):
        self.number = number
        self.host = host
        self.address = address
        self.process = None
        self.stopped = False
        self.leaving = False
        self.back_at = None

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.popen.returncode is None


class World:
    def __init__(self, hosts, directory, options, settings):
        self.hosts = hosts
        self.directory = directory
        self.options = options
        self.mu = threading.Lock()
        self.problems = []
        self.counts = Counter()
        self.term_seconds = []
        self.ids = {}          # (run, seq): id, of every message anybody delivered
        self.steady_heard = {}  # run: seqs that a peer delivered which lives throughout
        self.ending = []       # threads that wait for a process
        self.over = threading.Event()
        self.selector = selectors.DefaultSelector()
        self.rate = 0.0        # lines a second, all publishers together
        self.started = 0
        steady = options.peers * 2 // 5
        self.places = [Place(i, i, i < steady, i % 2 == 0) for i in range(options.peers)]
        self.seeds = [SeedPlace(i, options.peers + i,
                                f"{hosts.address(options.peers + i)}:{5300 + i}")
                      for i in range(3)]
        self.config = directory / "config.ini"
        self.config.write_text("[seeds]\n" + "".join(
            f"node{s.number + 1} = {s.address}\n" for s in self.seeds))
        self.set = []
        for key, value in settings.items():
            self.set += ["--set", f"{key}={value}"]
        self.threads = [threading.Thread(target=self._guarded, args=(work,))
                        for work in (self._read, self._say)]

    def problem(self, what):
        with self.mu:
            self.problems.append(what)

    # --- starting

    def _start(self, host, name, argv, **how):
        self.started += 1
        return Process([*self.options.wrap, *self.hosts.prefix(host), *argv], self.directory,
                       f"{self.started}-{name}", **how)

    def start_seed(self, place):
        place.process = self._start(
            place.host, f"seed{place.number + 1}",
            [SEED, "-c", str(self.config), "--log-dir", "logs", *self.set, f"node{place.number + 1}"])
        place.process.log_path = (self.directory / "logs" / "servers" /
                                  f"output_node{place.number + 1}.log")
        place.stopped = place.leaving = False
        place.back_at = None

    def start_peer(self, place, other_port=False, catches_up=True):
        place.generation += 1
        if other_port or not place.port:
            place.port = self.hosts.free_port(place.host)
        address = f"{self.hosts.address(place.host)}:{place.port}"
        argv = [PEER, "-c", str(self.config), "-l", address, "--log-dir", f"logs{place.number}",
                *self.set, "--receive", "--json"]
        if place.sends:
            argv += ["--send", "--wait", "86400"]
        if not catches_up:
            argv += ["--set", "gossip.catch_up=no"]
        process = self._start(place.host, f"peer{place.number}", argv,
                              stdin=subprocess.PIPE if place.sends else subprocess.DEVNULL,
                              stdout=subprocess.PIPE)
        process.log_path = (self.directory / f"logs{place.number}" / "clients" /
                            f"output_{place.port}.log")
        place.runner = Runner(self, place, process, address, place.sends, catches_up)
        place.back_at = None
        self.selector.register(place.runner.out, selectors.EVENT_READ, place.runner)

    # --- who is there

    def runners(self):
        """All peers that run and were not told to leave."""
        return [p.runner for p in self.places
                if p.runner and p.runner.running() and not p.runner.leaving]

    def steady(self):
        return [p.runner for p in self.places if p.steady]

    def mortal(self):
        return [r for r in self.runners() if not r.place.steady]

    def live_seeds(self):
        return [s for s in self.seeds if s.running() and not s.leaving]

    # --- reading and saying

    def _guarded(self, work):
        """A thread of ours that ends early is a failure of the test, and not a silent one."""
        try:
            work()
        except Exception:
            self.problem("the test itself: " + traceback.format_exc())

    def _read(self):
        while not self.over.wait(0.01):
            ready = self.selector.select(0.1)
            now = time.monotonic()
            later = 0
            for key, _ in ready:
                if key.data.unread_until > now:
                    later += 1
                    continue
                self._drain(key.data)
            if later and later == len(ready):
                time.sleep(0.05)

    def _drain(self, runner):
        try:
            chunk = os.read(runner.out, 1 << 16)
        except BlockingIOError:
            return
        if chunk:
            runner.take(chunk)
            return
        self.selector.unregister(runner.out)
        runner.process.popen.stdout.close()

    def on_line(self, runner, line):
        """One object that a peer printed; with mu."""
        if line.get("event") == "gap":
            runner.gaps.append((line["origin"], line["incarnation"], line["first"], line["last"]))
            return
        run, seq = (line["origin"], line["incarnation"]), line["seq"]
        heard = runner.heard.setdefault(run, set())
        self.counts["delivered"] += 1
        if seq in heard:
            self.counts["delivered twice"] += 1
            self.problems.append(f"{runner.name} at {runner.address} was given {run} {seq} twice")
        heard.add(seq)
        known = self.ids.setdefault((run, seq), line["id"])
        if known != line["id"]:
            self.problems.append(f"{run} {seq} is {known} and, at {runner.name}, {line['id']}")
        elif line["data"][:1].isdigit() and not is_right(line["data"], seq):
            self.problems.append(f"{run} {seq} is not what was said: {line['data'][:60]!r}")
        if runner.place.steady:
            self.steady_heard.setdefault(run, set()).add(seq)

    def _say(self):
        before, owed = time.monotonic(), 0.0
        turn = 0
        while not self.over.wait(0.02):
            now = time.monotonic()
            owed += (now - before) * self.rate
            before = now
            senders = [r for r in self.runners() if r.sends]
            for _ in range(int(owed)):
                turn += 1
                if senders:
                    senders[turn % len(senders)].feed(1)
            owed -= int(owed)
            for r in senders:
                r.push()

    # --- ending

    def signal(self, who, number):
        """To a process of ours that has not been waited for."""
        if who.running():
            os.kill(who.pid, number)

    def handles_term(self, who):
        """Until a daemon has blocked SIGTERM it ends of it as every program does."""
        with contextlib.suppress(OSError, AttributeError):
            status = Path(f"/proc/{who.pid}/status").read_text()
            return int(re.search(r"SigBlk:\s*(\w+)", status).group(1), 16) & TERM_BIT != 0
        return False

    def kill(self, who):
        who.process.killed = True
        who.process.popen.kill()
        who.process.popen.wait()
        self.check_end(who.process)

    def terminate(self, who):
        """SIGTERM, and a thread that sees what comes of it. A stopped one goes on with it."""
        begin = time.monotonic()
        who.leaving = True
        self.signal(who, signal.SIGTERM)
        if who.stopped:
            self.signal(who, signal.SIGCONT)
            who.stopped = False
        process, may_fail, wall = who.process, getattr(who, "sends", False), time.time()

        def wait():
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            took = time.monotonic() - begin
            with self.mu:
                self.term_seconds.append((took, said_stop(process) - wall, process.name))
            self.check_end(process, took, may_fail)
        t = threading.Thread(target=self._guarded, args=(wait,), daemon=True)
        t.process, t.begin = process, begin
        t.start()
        self.ending.append(t)

    def check_end(self, process, took=None, may_fail=False):
        """How a process ended that was told to: exit status, time, reports."""
        status, err = process.popen.wait(), process.err()
        if REPORT.search(err):
            self.counts["sanitizer reports"] += 1
            self.problem(f"{process.name} has a sanitizer's report:\n{err[:8000]}")
        if took is not None:
            unsent = re.search(r"^peer: \d+ lines? not published$", err, re.M)
            if status == 1 and may_fail and unsent:
                self.counts["exit 1, unsent lines told"] += 1
            elif status != 0:
                self.problem(f"{process.name} ended on SIGTERM with {status}: {err[-2000:]}")
            else:
                self.counts["exit 0"] += 1
            if took > self.options.term_seconds:
                self.counts["too slow"] += 1
                self.problem(f"{process.name} took {took:.2f} s to end on SIGTERM")
        self._forget(process)

    def _forget(self, process):
        if process.popen.stdin:
            with contextlib.suppress(OSError):
                process.popen.stdin.close()
        for path in (process.err_path, process.out_path):
            path.unlink(missing_ok=True)

    def check_unexpected(self):
        """Nobody ends by itself."""
        for who in [p.runner for p in self.places if p.runner] + self.seeds:
            if who.process and who.running() and not who.leaving:
                status = who.process.popen.poll()
                if status is not None:
                    self.problem(f"{who.process.name} ended by itself with {status}: "
                                 f"{who.process.err()[:8000]}")
        self.ending = [t for t in self.ending if t.is_alive()]
        for t in self.ending:
            if time.monotonic() - t.begin > 30 * self.options.slow:
                self.problem(f"{t.process.name} does not end on SIGTERM: {waits(t.process.pid)}")
                t.process.popen.kill()
                t.begin = float("inf")

    def close(self):
        self.over.set()
        for t in self.threads:
            if t.ident:
                t.join()
        for who in [p.runner for p in self.places if p.runner] + self.seeds:
            if who.process and who.process.popen.poll() is None:
                who.process.popen.kill()
                who.process.popen.wait()


def said_stop(process):
    """When the last line of its log was written: all that comes after "stop" is the end of
    the process, in which a sanitizer looks for leaks."""
    line = (process.log_text()[-1000:].splitlines() or [""])[-1]
    with contextlib.suppress(ValueError, IndexError):
        stamp = datetime.datetime.strptime(line.split()[0], "%Y-%m-%dT%H:%M:%S.%fZ")
        return stamp.replace(tzinfo=datetime.timezone.utc).timestamp()
    return float("nan")


def waits(pid):
    """Where each thread of a process hangs."""
    out = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            name = (task / "comm").read_text().strip()
            out.append(f"{name}: {(task / 'wchan').read_text()}")
    return ", ".join(out)
