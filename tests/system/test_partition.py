"""A network cut in two, and made whole again: two network namespaces of the
test's own with a wire between them, and nft to cut it."""

import contextlib
import os
import shutil
import subprocess
import threading
import time

import pytest
from net import FULL, PEER, SEED, SLOW, ms, passed, wait_until

PIPE = subprocess.PIPE
SIDES = ("10.213.7.1", "10.213.7.2")


def sh(*argv, **how):
    return subprocess.run(argv, check=True, capture_output=True, timeout=20, **how)


def in_namespace(name, *argv):
    return ["ip", "netns", "exec", name, *argv]


@contextlib.contextmanager
def wire():
    """Two namespaces that reach each other; yields their names."""
    names = [f"seedpeer{os.getpid()}{side}" for side in "ab"]
    try:
        for name in names:
            sh("ip", "netns", "add", name)
        sh("ip", "-n", names[0], "link", "add", "wire", "type", "veth", "peer", "name", "wire",
           "netns", names[1])
        for name, address in zip(names, SIDES):
            sh("ip", "-n", name, "address", "add", address + "/24", "dev", "wire")
            for device in ("lo", "wire"):
                sh("ip", "-n", name, "link", "set", device, "up")
            sh(*in_namespace(name, "nft", "add table inet cut"))
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, timeout=20)


def why_not():
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    if not shutil.which("ip") or not shutil.which("nft"):
        return "needs ip and nft"
    try:
        with wire() as names:
            cut(names[0])
    except subprocess.SubprocessError as e:
        return f"no network namespaces here: {e}"
    return None


def cut(name):
    """Nothing goes in or out any more; the other side sees silence."""
    for hook in ("input", "output"):
        way = "iifname" if hook == "input" else "oifname"
        sh(*in_namespace(name, "nft", f"add chain inet cut {hook} "
                         f"{{ type filter hook {hook} priority 0; }}"))
        sh(*in_namespace(name, "nft", f"add rule inet cut {hook} {way} wire drop"))


def heal(name):
    sh(*in_namespace(name, "nft", "flush table inet cut"))


class Halves:
    def __init__(self, net, names, settings):
        self.net, self.names = net, names
        self.options = ["-c", str(net.config)]
        for key, value in settings.items():
            self.options += ["--set", f"{key}={value}"]
        self.seeds = [f"{SIDES[i % 2]}:{5300 + i}" for i in range(3)]
        net.config.write_text("[seeds]\n" + "".join(
            f"node{i + 1} = {seed}\n" for i, seed in enumerate(self.seeds)))
        for i in range(3):
            self.start(i % 2, "seed", SEED, "--log-dir", "logs", f"node{i + 1}")

    def start(self, side, name, program, *options, **how):
        return self.net.start(in_namespace(self.names[side], program, *self.options, *options),
                              f"{name}{side}", **how)

    def peer(self, side, *options, **how):
        p = self.start(side, "peer", PEER, "-l", SIDES[side] + ":0", *options, **how)
        p.side = side
        return p

    def listing(self, side):
        """How many peers each seed that this side reaches lists."""
        done = subprocess.run(in_namespace(self.names[side], PEER, *self.options, "--list"),
                              cwd=self.net.directory, capture_output=True, timeout=30 * SLOW)
        return done.stdout.decode()


def say(publishers, lines, pace):
    """Every publisher says its lines, one every `pace` seconds."""
    def one(p, mine):
        for line in mine:
            p.popen.stdin.write(line + b"\n")
            p.popen.stdin.flush()
            time.sleep(pace)
    threads = [threading.Thread(target=one, args=(p, mine)) for p, mine in zip(publishers, lines)]
    for t in threads:
        t.start()
    return threads


# Compressed timers, as if the cut lasted 3 s; --full has the real ones and 30.
QUICK = {"liveness.interval": ms(300), "liveness.timeout": ms(900), "seed.period": ms(1500),
         "seed.verify_reply": ms(600), "seed.verify_connect": ms(300),
         "overlay.dial_timeout": ms(300), "overlay.seed_timeout": ms(600),
         "overlay.repair_max": ms(1000)}


def check_cut_and_heal(net, settings, seconds, patience):
    reason = why_not()
    if reason:
        pytest.skip(reason)
    settings = {"security.insecure": "yes", "overlay.max_per_host": "15", **settings}
    with wire() as names:
        halves = Halves(net, names, settings)
        receivers = [halves.peer(i % 2, "--receive") for i in range(8)]
        publishers = [halves.peer(i, "--send", stdin=PIPE) for i in (0, 1)]
        lines = [[b"side %d says %d" % (side, i) for i in range(400)] for side in (0, 1)]
        threads = say(publishers, lines, (seconds + 4) / 400)
        # both are heard by all
        wait_until(lambda: all(any(b"side %d" % side in p.out() for side in (0, 1))
                               for p in receivers), 20, "everybody hears somebody")
        wait_until(lambda: all(b"side 0" in p.out() and b"side 1" in p.out() for p in receivers),
                   20, "both sides are heard everywhere")
        cut(names[0])
        wait_until(passed(seconds), seconds + 5)
        for p in receivers:
            other = b"side %d says" % (1 - p.side)
            mine = b"side %d says" % p.side
            heard = {who: sum(who in line for line in p.lines()) for who in (mine, other)}
            assert heard[other] < heard[mine], "the wire was not cut"
        heal(names[0])
        for t in threads:
            t.join()
        want = sorted(lines[0] + lines[1])
        wait_until(lambda: all(len(p.lines()) >= len(want) for p in receivers), patience,
                   "everybody has heard everything")
        wait_until(passed(1), 2)
        for p in receivers:
            same = sorted(p.lines()) == want
            assert same, f"{p.name}: {len(p.lines())} lines, {len(set(p.lines()))} different"
        assert net.close() == []  # while the namespaces are there


def test_what_was_said_on_both_sides_of_a_cut_is_everywhere_once(net):
    check_cut_and_heal(net, QUICK, 3 * SLOW, 15)


@pytest.mark.slow
def test_the_same_with_a_cut_of_thirty_seconds_and_timers_as_shipped(net):
    check_cut_and_heal(net, {}, 30, 90)
