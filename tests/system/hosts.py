"""Hosts of the test's own, one network namespace each, and a router between
them that can cut, refuse, reset and lose what they send to one another.

    why_not()      the reason why there can be none here, or None
    Hosts(n)       n hosts; the calling thread sits on the router, reaches every
                   host whatever is cut between them, and is put back by close()

Nothing has a name that could be left behind: a namespace lives as long as a
`cat` of ours in it, and that ends when we do, because we hold its stdin.
"""

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

CLONE_NEWNET = 0x40000000
ROUTER = "10.77.0.254"
BOTH, TO, FROM = "both", "to", "from"
LIBC = ctypes.CDLL(None, use_errno=True)


def _checked(result):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def run(argv, script=None):
    done = subprocess.run(argv, input=script, text=True, capture_output=True, timeout=20)
    if done.returncode != 0:
        raise OSError(f"{' '.join(argv)}: {done.stderr.strip()}\n{script}")


def _settle(held):
    """What cat echoes was written in the namespace it now lives in."""
    held.stdin.write(b"here\n")
    held.stdin.flush()
    if held.stdout.readline() != b"here\n":
        raise OSError("no namespace: unshare failed")


class Hosts:
    def __init__(self, n):
        self.n = n
        self.held = []
        self.relay = None
        self.before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        _checked(LIBC.unshare(CLONE_NEWNET))
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def _build(self):
        with open("/proc/sys/net/ipv4/ip_forward", "w") as f:
            f.write("1\n")
        pipe = subprocess.PIPE
        self.held = [subprocess.Popen(["unshare", "-n", "cat"], stdin=pipe, stdout=pipe)
                     for _ in range(self.n)]
        script = [f"address add {ROUTER}/32 dev lo", "link set lo up"]
        for i, held in enumerate(self.held):
            _settle(held)
            script += [f"link add wire{i} type veth peer name wire netns {held.pid}",
                       f"link set wire{i} up",
                       f"route add {self.address(i)}/32 dev wire{i} src {ROUTER}"]
        run(["ip", "-batch", "-"], "\n".join(script))
        for i in range(self.n):
            run(self.prefix(i) + ["ip", "-batch", "-"], "\n".join([
                "link set lo up", f"address add {self.address(i)}/32 dev wire",
                "link set wire up", f"route add {ROUTER} dev wire",
                f"route add default via {ROUTER}"]))
        self._rules("")

    # --- who is where

    def address(self, i):
        return f"10.77.0.{i + 1}"

    def prefix(self, i):
        """What a command starts with that is to run on host i; its pid stays the same."""
        return ["nsenter", f"--net=/proc/{self.held[i].pid}/ns/net", "--"]

    # --- what happens to them

    def _rules(self, rules):
        """All rules at once, and none of those before: one transaction."""
        run(["nft", "-f", "-"],
             "table inet faults\ndelete table inet faults\ntable inet faults {\n"
             f"chain c {{ type filter hook forward priority 0; {rules}\n}}\n}}\n")

    def _match(self, sources, targets):
        def group(hosts):
            return "{ " + ", ".join(self.address(i) for i in hosts) + " }"
        return f"ip saddr {group(sources)} ip daddr {group(targets)}"

    def cut(self, side, way=BOTH, verdict="drop"):
        """These hosts and all others: nothing passes between them any more (BOTH), nothing
        from them (FROM), nothing to them (TO). verdict: "drop" or "reject with tcp reset"."""
        others = [i for i in range(self.n) if i not in side]
        rules = []
        tcp = "" if verdict == "drop" else "meta l4proto tcp"
        if way in (BOTH, FROM):
            rules.append(f"{self._match(side, others)} {tcp} {verdict};")
        if way in (BOTH, TO):
            rules.append(f"{self._match(others, side)} {tcp} {verdict};")
        self._rules(" ".join(rules))

    def lose(self, percent):
        """That share of all packets, at random."""
        self._rules(f"numgen random mod 1000 < {int(percent * 10)} counter drop;")

    def dropped(self):
        """How many packets that rule has dropped."""
        listed = subprocess.run(["nft", "list", "table", "inet", "faults"], capture_output=True,
                                text=True, timeout=20).stdout
        return sum(map(int, re.findall(r"packets (\d+)", listed)))

    def heal(self):
        self._rules("")

    def delay(self, ms, jitter_ms):
        """Every packet takes that long, more or less, and may overtake others. By netem, or
        where the kernel has none by a relay of our own, which lasts until close()."""
        if self._netem(f"delay {ms}ms {jitter_ms}ms"):
            return "netem"
        self.relay = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("relay.py")), "slow", str(ms),
             str(jitter_ms), "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.relay.stdout.readline() != b"ready\n":
            raise OSError("no TUN device")
        # What comes from a host goes through the device; what comes out of it, or from us,
        # goes to its host.
        own = [f"route add {self.address(i)}/32 dev wire{i} src {ROUTER} table 100"
               for i in range(self.n)]
        run(["ip", "-batch", "-"], "\n".join([
            "link set slow up mtu 1500", "link set slow txqueuelen 10000", *own,
            "rule add iif slow lookup 100 priority 10", "rule add iif lo lookup 100 priority 11",
            *(f"route replace {self.address(i)}/32 dev slow" for i in range(self.n))]))
        return "relay"

    def _netem(self, how):
        for i in range(self.n):
            done = subprocess.run(["tc", "qdisc", "add", "dev", f"wire{i}", "root", "netem",
                                   *how.split()], capture_output=True, timeout=20)
            if done.returncode != 0:
                return False
        return True

    def close(self):
        """Whoever runs there should have ended: sockets keep a namespace alive."""
        for held in self.held + ([self.relay] if self.relay else []):
            held.stdin.close()
            held.wait(10)
            held.stdout.close()
        if self.before >= 0:
            _checked(LIBC.setns(self.before, CLONE_NEWNET))
            os.close(self.before)
            self.before = -1


def why_not():
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    for tool in ("ip", "nft", "unshare", "nsenter"):
        if not shutil.which(tool):
            return f"needs {tool}"
    try:
        with Hosts(2) as hosts:
            hosts.cut([0])
            hosts.lose(50)
    except (OSError, subprocess.SubprocessError) as e:
        return f"no network namespaces here: {e}"
    return None
