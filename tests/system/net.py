"""Real daemons for the system tests: start them, look at them, stop them.

    wait_until(condition, seconds)   no test sleeps: it waits for something
    Process                          one daemon, its output in files
    Net                              some seeds, any number of peers, fakes

Everything that was started is stopped again by its process id. Net.close()
then complains about every process that did not leave properly: a status other
than the one expected, a signal nobody sent, a sanitizer's report.

Environment: SEEDPEER_BIN (default ./bin) holds the programs, SEEDPEER_SLOW
(default 1) stretches all waiting, SEEDPEER_FULL=1 runs the long tests too.
"""

import contextlib
import fcntl
import json
import os
import pty
import random
import re
import select
import signal
import socket
import subprocess
import termios
import time
from pathlib import Path

import client

SLOW = float(os.environ.get("SEEDPEER_SLOW", "1"))
FULL = os.environ.get("SEEDPEER_FULL", "") not in ("", "0")
BIN = Path(os.environ.get("SEEDPEER_BIN", "bin")).resolve()
SEED, PEER = str(BIN / "seed"), str(BIN / "peer")

LOG_LINE = re.compile(r"^(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) "
                      r"(?P<way>in |out|-- ) (?P<rest>\S.*)$")
ANSI = re.compile(r"\x1b\[[0-9;]*m")
REPORT = re.compile(r"Sanitizer|runtime error:")


def wait_until(condition, seconds=10.0, what=""):
    """Waits until condition() is true and returns what it returned."""
    deadline = time.monotonic() + seconds * SLOW
    while True:
        last = condition()
        if last:
            return last
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds * SLOW:g} s: {what or condition}; "
                                 f"last seen {last!r}")
        time.sleep(0.02)


def holds(condition, seconds, what=""):
    """Asserts that condition() stays true for that long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"did not stay so: {what or condition}"
        time.sleep(0.05)


def passed(seconds):
    """A wait_until condition for the rare test about time itself."""
    start = time.monotonic()
    return lambda: time.monotonic() - start >= seconds


def ms(milliseconds):
    """A duration for --set, stretched on slow builds."""
    return f"{int(milliseconds * SLOW)}ms"


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def free_port(host, _used=set()):
    """A port that is free now, never given out before, and below the range
    from which the kernel takes ports for outgoing connections."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        port = random.randrange(15000, 32000)
        if port in _used:
            continue
        with socket.socket(family) as s:
            try:
                s.bind((host, port))
            except OSError:
                continue
        _used.add(port)
        return port


def plain(text):
    """Without colors."""
    return ANSI.sub("", text)


def environment(more=None):
    """Ours without the variables that would configure a daemon, and `more`."""
    out = {k: v for k, v in os.environ.items() if not k.startswith("SEEDPEER_")}
    return {**out, **(more or {})}


class Process:
    """One daemon. stdout and stderr go to files unless told otherwise."""

    def __init__(self, argv, directory, name, stdin=subprocess.DEVNULL, stdout=None, env=None,
                 terminal=None, expect=0):
        self.name = name
        self.argv = argv
        self.expect = expect  # exit status Net.close() wants to see; None: any
        self.killed = False
        self.out_path = directory / f"{name}.out"
        self.err_path = directory / f"{name}.err"
        with contextlib.ExitStack() as files:
            how = {}
            if terminal is not None:
                how = {"preexec_fn": lambda: take_terminal(terminal)}
                stdin = stdout = stderr = terminal
            else:
                stderr = files.enter_context(open(self.err_path, "wb"))
                if stdout is None:
                    stdout = files.enter_context(open(self.out_path, "wb"))
            self.popen = subprocess.Popen(argv, stdin=stdin, stdout=stdout, stderr=stderr,
                                          cwd=directory, env=environment(env), **how)
        self.pid = self.popen.pid

    # --- what it says

    def out(self):
        return self.out_path.read_bytes() if self.out_path.exists() else b""

    def err(self):
        return self.err_path.read_text(errors="replace") if self.err_path.exists() else ""

    def lines(self):
        """Whole lines of stdout, as bytes."""
        return self.out().split(b"\n")[:-1]

    def log_text(self, keep_color=False, older=False):
        text = ""
        for path in [f"{self.log_path}.1"] * older + [self.log_path]:
            with contextlib.suppress(FileNotFoundError):
                text += Path(path).read_text(errors="replace")
        return text if keep_color else plain(text)

    def log_has(self, pattern):
        return re.search(pattern, self.log_text(), re.M)

    def status(self):
        """SIGUSR1, and the status object it writes to the log, which may be rotated meanwhile:
        a line that was not there, and its time makes it another one."""
        def lines():
            return re.findall(r"^.*\{\"address\".*\}", self.log_text(older=True), re.M)
        before = set(lines())
        self.send_signal(signal.SIGUSR1)
        found = wait_until(lambda: [line for line in lines() if line not in before], 5,
                           f"status of {self.name} in its log")
        return json.loads(found[-1][found[-1].index("{"):])

    # --- what it does

    def say(self, text):
        """Writes to its stdin."""
        self.popen.stdin.write(text.encode() if isinstance(text, str) else text)
        self.popen.stdin.flush()

    def prompt(self, command, pattern, seconds=5):
        """Types a command into a piped prompt and waits for a new output."""
        start = len(self.out())
        self.say(command + "\n")
        return wait_until(lambda: re.search(pattern, self.out()[start:].decode(), re.M), seconds,
                          f"{pattern!r} after {command!r}")

    def prompt_status(self):
        return json.loads(self.prompt("status", r"^(\{.*\})$").group(1))

    def send_signal(self, number):
        if self.popen.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        """SIGKILL, as a crash; reaped at once."""
        self.killed = True
        self.popen.kill()
        self.popen.wait()

    def running(self):
        return self.popen.poll() is None

    def wait(self, seconds=10):
        """Its exit status."""
        try:
            return self.popen.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} still runs after {seconds * SLOW:g} s") from None

    def ends(self, number=signal.SIGTERM, seconds=2.0):
        """Signals it, and returns its exit status; asserts that it hurried."""
        self.send_signal(number)
        return self.wait(seconds)

    def threads(self):
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def neighbors(self):
        """The addresses it is linked to, asked over the wire."""
        return set(client.peer_list(self.address, timeout=5 * SLOW))

    def try_neighbor_list(self):
        """The same as a list, as it was told; None when it does not answer (yet)."""
        try:
            return client.peer_list(self.address, timeout=5 * SLOW)
        except (OSError, client.Ended):
            return None

    def try_neighbors(self):
        """As a set; None when it does not answer (yet)."""
        told = self.try_neighbor_list()
        return None if told is None else set(told)


def take_terminal(fd):
    os.setsid()
    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)


class Terminal:
    """A pseudo terminal with a process on it."""

    def __init__(self, net, argv, name):
        self.master, slave = pty.openpty()
        self.screen = b""
        self.process = net.start(argv, name, terminal=slave)
        os.close(slave)

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            try:
                more = os.read(self.master, 65536)
            except OSError:
                break
            if not more:
                break
            self.screen += more
        return plain(self.screen.decode(errors="replace")).replace("\r\n", "\n")

    def type(self, text):
        os.write(self.master, text.encode())

    def wait(self, pattern, seconds=5, after=0):
        return wait_until(lambda: re.compile(pattern, re.M).search(self.read(), after), seconds,
                          f"{pattern!r} on the terminal")

    def close(self):
        os.close(self.master)


class Net:
    def __init__(self, host, directory):
        self.host = host
        self.directory = directory
        self.config = directory / "config.ini"
        self.seeds = []
        self.processes = []
        self.fakes = []
        self.common = {}  # section.key: value for every process
        self.count = 0

    # --- starting

    def set_up(self, n, names=None, **settings):
        """Writes a configuration with n seeds that are not started. Settings
        are given as seed__period="1s"."""
        self.common.update({k.replace("__", "."): v for k, v in settings.items()})
        self.seeds[:] = [client.join_address(self.host, free_port(self.host)) for _ in range(n)]
        self.names = names or [f"node{i + 1}" for i in range(n)]
        entries = [f"{name} = {address}\n" for name, address in zip(self.names, self.seeds)]
        self.config.write_text("[seeds]\n" + "".join(entries))
        return self.seeds

    def set_key(self, *keys, name="key"):
        """Writes a key file that all processes are to use, and becomes a member itself."""
        path = self.directory / name
        fresh = path.with_suffix(".new")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write("".join(f"{key}\n" for key in keys))
        os.replace(fresh, path)
        self.common["security.key_file"] = str(path)
        client.membership.key, client.membership.seeds = keys[0], self.seeds

    def start_seeds(self, n=3, **settings):
        self.set_up(n, **settings)
        return [self.seed(i) for i in range(n)]

    def options(self, settings):
        out = []
        for key, value in {**self.common, **settings}.items():
            out += ["--set", f"{key}={value}"]
        return out

    def start(self, argv, name, **how):
        self.count += 1
        p = Process(argv, self.directory, f"{self.count}-{name}", **how)
        self.processes.append(p)
        return p

    def seed(self, i, *options, settings=None, wait=True, **how):
        """Starts the seed of entry i and waits until it answers."""
        name = self.names[i]
        p = self.start([SEED, "-c", str(self.config), "--log-dir", "logs",
                        *self.options(settings or {}), *options, name], name, **how)
        p.address = self.seeds[i]
        p.log_path = self.directory / "logs" / "servers" / f"output_{name}.log"
        if wait:
            self.wait_answer(p)
        return p

    def peer(self, *options, settings=None, wait=False, port=None, logs=True, **how):
        """Starts a peer on a port of its own."""
        port = port or free_port(self.host)
        address = client.join_address(self.host, port)
        argv = [PEER, "-c", str(self.config), "-l", address, *self.options(settings or {})]
        if logs:
            argv += ["--log-dir", "logs"]
        p = self.start(argv + list(options), f"peer-{port}", **how)
        p.address = address
        p.log_path = self.directory / "logs" / "clients" / f"output_{port}.log"
        if wait:
            self.wait_answer(p)
        return p

    def peers(self, n, *options, **how):
        """n peers in one connected network."""
        peers = [self.peer(*options, **how) for _ in range(n)]
        self.wait_connected(peers)
        return peers

    def fake(self, **how):
        f = client.FakePeer(host=how.pop("host", self.host), **how)
        self.fakes.append(f)
        return f

    def run(self, program, *options, input=b"", timeout=20, env=None, **how):
        """A program that ends by itself. Returns its CompletedProcess."""
        how.setdefault("stdout", subprocess.PIPE)
        done = subprocess.run([program, *options], input=input, stderr=subprocess.PIPE,
                              cwd=self.directory, timeout=timeout * SLOW, env=environment(env), **how)
        assert not REPORT.search(done.stderr.decode(errors="replace")), done.stderr.decode()
        return done

    def send(self, lines, *options, timeout=30, **how):
        """A publishing peer that sends these lines (bytes) and leaves."""
        data = b"".join(line + b"\n" for line in lines)
        address = client.join_address(self.host, free_port(self.host))
        return self.run(PEER, "-c", str(self.config), "-l", address, *self.options({}), "--send",
                        *options, input=data, timeout=timeout, **how)

    # --- looking

    def wait_answer(self, process, seconds=10):
        def answers():
            status = process.popen.poll()
            assert status is None, f"{process.name} ended with {status}: {process.err()}"
            try:
                return client.request(process.address, "Liveliness", 5 * SLOW, nonce=1)
            except (OSError, client.Ended):
                return None
        return wait_until(answers, seconds, f"{process.name} answers")

    def listed(self, i):
        """What seed i hands out."""
        try:
            return set(client.peer_list(self.seeds[i], timeout=5 * SLOW))
        except (OSError, client.Ended):
            return set()

    def lists(self):
        return [self.listed(i) for i in range(len(self.seeds))]

    def known(self):
        """Everything any seed hands out."""
        return set().union(*self.lists())

    def gone(self, address):
        """Has every seed removed it? Not being handed out is not enough: that
        is so for a peer that is just being checked, but such a one counts."""
        for seed in self.seeds:
            answer = client.request(seed, "Get Peer List", 5 * SLOW, want=1000)
            if address in answer["peers"] or answer["count"] > len(answer["peers"]):
                return False
        return True

    def edges(self, processes):
        """{address: neighbors}, or None while one of them does not answer."""
        out = {p.address: p.try_neighbors() for p in processes}
        return None if None in out.values() else out

    def connected(self, processes):
        """Are these peers one component? Returns the edges, or None."""
        edges = self.edges(processes)
        if not edges:
            return None
        reached, todo = set(), [processes[0].address]
        while todo:
            at = todo.pop()
            if at not in reached:
                reached.add(at)
                todo += [to for to in edges.get(at, ()) if to in edges]
        return edges if len(reached) == len(edges) else None

    def wait_connected(self, processes, seconds=15):
        return wait_until(lambda: self.connected(processes), seconds, "one connected network")

    # --- stopping

    def close(self):
        """Ends everything; returns what was not as it should be."""
        for f in self.fakes:
            f.stop()
        client.membership.key, client.membership.seeds = None, ()
        running = [p for p in self.processes if p.running()]
        for p in running:
            p.send_signal(signal.SIGCONT)
            p.send_signal(signal.SIGTERM)
        problems = []
        deadline = time.monotonic() + 10 * SLOW
        for p in running:
            try:
                p.popen.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                p.kill()
                problems.append(f"{p.name} did not end on SIGTERM")
        for p in self.processes:
            status = p.popen.returncode
            for pipe in (p.popen.stdin, p.popen.stdout):
                with contextlib.suppress(OSError):
                    if pipe:
                        pipe.close()
            if REPORT.search(p.err()):
                problems.append(f"{p.name} has a sanitizer's report:\n{p.err()}")
            elif not p.killed and p.expect is not None and status != p.expect:
                problems.append(f"{p.name} exited with {status}, not {p.expect}")
        return problems

    def tails(self):
        """The end of what every process said, for a test that failed."""
        out = []
        for p in self.processes[:40]:
            log = p.log_text() if hasattr(p, "log_path") else ""
            out.append(f"--- {p.name}: {' '.join(p.argv)}\n{p.err()[-1500:]}")
            out.append("\n".join(line[:200] for line in log.splitlines()[-15:]))
        return "\n".join(out)
