"""A network whose seeds and peers each have a host of their own, and what their users hear.

    Town(net, n)   n hosts (hosts.py); seeds on the last three of them
    Ears           what some peers print, when, and how often
"""

import json
import os
import selectors
import subprocess
import threading
import time

import client
import hosts
from net import PEER, SEED, free_port, wait_until

PIPE = subprocess.PIPE


def shipped_through(n, **other):
    """The timers as shipped, but n times as fast (docs/protocol.md, section 8), as settings.
    A beat is what one millisecond becomes; none is below the 10 ms that a timer may have."""
    shipped = {
        "overlay.dial_timeout": 3000, "overlay.seed_timeout": 4000, "overlay.repair_first": 50,
        "overlay.repair": 500, "overlay.repair_max": 30000, "overlay.urgent_interval": 10000,
        "overlay.tie": 3000, "overlay.report_delay": 300, "liveness.interval": 5000,
        "liveness.busy_interval": 30000, "liveness.timeout": 15000, "liveness.handshake": 5000,
        "liveness.idle": 10000, "gossip.have_flush": 100, "gossip.ask_after": 300,
        "gossip.ask_min": 100, "gossip.ask_max": 1000, "gossip.hole_wait": 5000,
        "gossip.lost_after": 30000, "gossip.lazy_time": 60000, "gossip.publish_wait": 10000,
        "seed.period": 60000, "seed.handshake": 5000, "seed.idle": 10000, "seed.dial_back": 2000,
        "seed.verify_connect": 3000, "seed.verify_reply": 10000, "seed.verify_retry": 1000}
    out = {key: f"{max(10, int(value / n))}ms" for key, value in shipped.items()}
    return {**out, **{key.replace("__", "."): value for key, value in other.items()}}


class Ears:
    """Takes what these peers print with --receive --json, in a thread of its own."""

    def __init__(self):
        self.mu = threading.Lock()
        self.heard = {}      # process: {(origin, seq): how often}
        self.gaps = {}       # process: objects
        self.latencies = []  # ms from publishing to printing
        self.parts = {}
        self.selector = selectors.DefaultSelector()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def add(self, process):
        with self.mu:
            self.heard[process], self.gaps[process], self.parts[process] = {}, [], b""
        os.set_blocking(process.popen.stdout.fileno(), False)
        self.selector.register(process.popen.stdout, selectors.EVENT_READ, process)
        return process

    def _listen(self):
        while not self.over.wait(0.002):
            for key, _ in self.selector.select(0.1):
                chunk = key.fileobj.read(1 << 20)
                if chunk:
                    self._take(key.data, chunk)
                elif chunk == b"":
                    self.selector.unregister(key.fileobj)

    def _take(self, process, chunk):
        now = time.time() * 1000
        *lines, self.parts[process] = (self.parts[process] + chunk).split(b"\n")
        with self.mu:
            for line in map(json.loads, lines):
                if "event" in line:
                    self.gaps[process].append(line)
                    continue
                name = line["origin"], line["seq"]
                heard = self.heard[process]
                heard[name] = heard.get(name, 0) + 1
                self.latencies.append(now - line["time_ms"])

    def count(self, process):
        with self.mu:
            return len(self.heard[process])

    def has_all(self, said):
        """said: {origin: how many lines}. Has everybody heard all of them but their own?"""
        with self.mu:
            for process, heard in self.heard.items():
                want = sum(n for origin, n in said.items() if origin != process.address)
                if len(heard) < want:
                    return False
        return True

    def check(self, said):
        """Exactly that, each once, and nobody was told of a gap."""
        with self.mu:
            for process, heard in self.heard.items():
                want = {(origin, seq) for origin, n in said.items() if origin != process.address
                        for seq in range(1, n + 1)}
                missing, twice = want - set(heard), [m for m, n in heard.items() if n > 1]
                assert not missing, f"{process.name} misses {len(missing)}: {sorted(missing)[:5]}"
                assert not twice, f"{process.name} heard {len(twice)} again: {twice[:5]}"
                assert set(heard) == want
                assert not self.gaps[process], f"{process.name} was told {self.gaps[process][:3]}"

    def close(self):
        self.over.set()
        self.thread.join()


class Publishers:
    """Give lines to peers' stdin at a steady pace, until they are told to be quiet."""

    def __init__(self, processes, rate):
        self.said = {p.address: 0 for p in processes}
        self.processes = processes
        self.rate = rate  # lines a second, each
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._say, daemon=True)
        self.thread.start()

    def _say(self):
        begin = time.monotonic()
        n = 0
        while not self.over.wait(max(0.0, begin + n / self.rate - time.monotonic())):
            n += 1
            for p in self.processes:
                try:
                    p.say(f"{p.address} says {n}\n")
                except (ValueError, BrokenPipeError):
                    return  # the test has failed and ends its processes
                self.said[p.address] = n

    def quiet(self):
        self.over.set()
        self.thread.join(60)
        assert not self.thread.is_alive(), "a publisher does not read its stdin"
        return self.said


class Town(hosts.Hosts):
    def __init__(self, net, n, settings):
        super().__init__(n + 3)
        self.net = net
        self.ears = Ears()
        self.seed_hosts = [n, n + 1, n + 2]
        self.options = ["-c", str(net.config)]
        for key, value in {"security.insecure": "yes", **settings}.items():
            self.options += ["--set", f"{key}={value}"]
        net.seeds = [f"{self.address(i)}:5345" for i in self.seed_hosts]
        net.config.write_text("[seeds]\n" + "".join(
            f"node{i + 1} = {seed}\n" for i, seed in enumerate(net.seeds)))

    def seed(self, i):
        p = self.net.start([*self.prefix(self.seed_hosts[i]), SEED, *self.options, "--log-dir",
                            "logs", f"node{i + 1}"], f"seed{i + 1}")
        p.address = self.net.seeds[i]
        p.log_path = self.net.directory / "logs" / "servers" / f"output_node{i + 1}.log"
        self.net.wait_answer(p)
        return p

    def seeds(self):
        return [self.seed(i) for i in range(3)]

    def peer(self, host, *options, send=False, settings=None, port=None, listen=None):
        """One that receives (and publishes what it is given); the ears are at its stdout."""
        port = port or free_port("127.0.0.1")
        address = client.join_address(self.address(host), port)
        more = [f"--set={key}={value}" for key, value in (settings or {}).items()]
        p = self.net.start([*self.prefix(host), PEER, *self.options, *more, "-l",
                            listen or address, "--log-dir", "logs", "--receive", "--json",
                            *(["--send", "--wait", "86400"] if send else []), *options],
                           f"peer-{host}", stdin=PIPE if send else subprocess.DEVNULL,
                           stdout=PIPE)
        p.address, p.host = address, host
        p.log_path = self.net.directory / "logs" / "clients" / f"output_{port}.log"
        return self.ears.add(p)

    def peers(self, n, publishers):
        """n peers on the first hosts, in one network; those numbers may publish."""
        peers = [self.peer(i, send=i in publishers) for i in range(n)]
        for p in peers:
            self.net.wait_answer(p)
        self.net.wait_connected(peers, 30)
        return peers

    def told_all(self, publishers, seconds=30):
        """Everybody has heard everything once. Returns how much was said."""
        said = publishers.quiet()
        wait_until(lambda: self.ears.has_all(said), seconds, "everybody has heard everything")
        self.ears.check(said)
        return sum(said.values())

    def close(self):
        if hasattr(self, "net"):
            try:
                problems = self.net.close()  # while the hosts are there
                assert problems == []
            finally:
                self.ears.close()
                super().close()
        else:
            super().close()
