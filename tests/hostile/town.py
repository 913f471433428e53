"""A small honest network under attack, and the bystander that looks on.

    seed       a real one; the victim is registered there
    victim     a real peer, with a prompt
    publisher  a real peer, linked to the victim only: what it says goes through the victim
    receiver   the same, and prints what reaches it

    with bystander(town, "kind of attack") as b:
        ...                  attack town.victim
        b.inputs += 100      hostile inputs it was sent

asserts at the end that the daemon answered a bystander each time within ANSWER_SECONDS, that
everything published meanwhile reached the receiver exactly once, that no honest link was
lost and that nobody died."""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import tally
from attacker import FakeSeed
from net import PEER, SLOW, free_port, wait_until

import client

ANSWER_SECONDS = 2
PATIENCE = 30  # it waits longer, so that a failure can say how long it took
PUBLISH_PAUSE = 0.02
WATCH = str(Path(__file__).parent / "watch.py")


def resident(pid):
    """Bytes of memory a process occupies."""
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Honest:
    """The publisher or the receiver."""

    def __init__(self, net, name, config, settings, *options, **how):
        port = free_port(net.host)
        self.address = client.join_address(net.host, port)
        argv = [PEER, "-c", str(config), "-l", self.address, *options]
        for key, value in settings.items():
            argv += ["--set", f"{key}={value}"]
        self.process = net.start(argv, name, **how)
        self.pid = self.process.pid

    def links_to(self, port):
        """Which sockets of this process are connected to that port: a link that was lost
        and made again is another one."""
        own = set()
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(OSError):
                own.add(os.readlink(f"/proc/{self.pid}/fd/{fd}"))
        wanted = f":{port:04X}"
        with open("/proc/net/tcp") as table:
            rows = [line.split() for line in list(table)[1:]]
        return {row[9] for row in rows
                if row[2].endswith(wanted) and row[3] == "01" and f"socket:[{row[9]}]" in own}


class Town:
    def __init__(self, net, **settings):
        self.net = net
        settings = {k.replace("__", "."): v for k, v in settings.items()}
        net.set_up(1)
        self.seed = net.seed(0, settings=settings)
        self.victim = net.peer(settings=settings, stdin=subprocess.PIPE, wait=True)
        self.port = client.split_address(self.victim.address)[1]
        self.fake_seed = FakeSeed([self.victim.address])
        net.fakes.append(self.fake_seed)
        config = net.directory / "honest.ini"
        config.write_text(f"[seeds]\nfake = {self.fake_seed.address}\n")
        own = {"overlay.dials": 1, **{k: v for k, v in settings.items()
                                      if k in ("security.insecure", "overlay.tie")}}
        self.publisher = Honest(net, "publisher", config, own, "--send", "--receive", "--json",
                                stdin=subprocess.PIPE)
        self.receiver = Honest(net, "receiver", config, own, "--receive", "--json")
        self.honest = [self.publisher, self.receiver]
        self.residents = [self.seed, self.victim] + [h.process for h in self.honest]
        self.count = 0
        self.read = 0  # bytes of the receiver's output that were looked at
        self.got = []  # numbers of honest messages in them
        addresses = {h.address for h in self.honest}
        wait_until(lambda: addresses <= self.victim.neighbors(), 15, "the honest peers are linked")
        self.publish()
        self.wait_delivered()

    def alive(self):
        return all(p.running() for p in self.residents)

    def links(self):
        return [h.links_to(self.port) for h in self.honest]

    # --- what the honest say

    def publish(self):
        self.count += 1
        self.publisher.process.say(f"honest {self.count};\n")

    def delivered(self):
        """The numbers of the honest messages the receiver has printed, in order."""
        with open(self.receiver.process.out_path, "rb") as f:
            f.seek(self.read)
            text = f.read()
        text = text[:text.rfind(b"\n") + 1]
        self.read += len(text)
        self.got += [int(n) for n in re.findall(rb'"data":"honest (\d+);"', text)]
        return self.got

    def wait_delivered(self):
        wait_until(lambda: len(self.delivered()) >= self.count, 30,
                   "the honest messages have arrived")
        assert sorted(self.got) == list(range(1, self.count + 1)), "not exactly once"

    # --- what the daemons say

    def status(self, daemon):
        return daemon.prompt_status() if daemon is self.victim else daemon.status()

    def rejected(self, daemon):
        """Count by reason."""
        return self.status(daemon)["rejected"]


class Bystander:
    inputs = 0


def start_watch(daemon, role):
    """A connection that is established, and introduced, before the attack."""
    argv = [sys.executable, "-S", "-E", WATCH, daemon.address, role, str(PATIENCE * SLOW)]
    watch = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    line = watch.stdout.readline()
    if line != b"ready\n":
        watch.wait()
        raise AssertionError(f"no bystander at {daemon.name}: {line.decode()}")
    return watch


def end_watch(watch):
    watch.stdin.close()
    said = json.loads(watch.stdout.readline() or "{}")
    watch.stdout.close()
    watch.wait()
    return said


@contextlib.contextmanager
def publishing(town):
    over = threading.Event()

    def run():
        while not over.wait(PUBLISH_PAUSE):
            town.publish()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def bystander(town, kind, at=None, role=None):
    """at: the daemon that is attacked (the victim). role: see watch.py."""
    daemon = at or town.victim
    role = role or ("neighbor" if daemon is town.victim else "visitor")
    noted = tally.kind(kind)
    here = Bystander()
    before = town.links()
    watch = start_watch(daemon, role)
    try:
        with publishing(town):
            yield here
    finally:
        noted.inputs += here.inputs
        said = end_watch(watch)
        noted.took += said.get("took", [])
        judge(town, before)
    assert "failed" not in said, f"the bystander: {said}"
    slowest = max(said["took"])
    assert slowest <= ANSWER_SECONDS * 1000 * SLOW, f"the bystander waited {slowest:.0f} ms"
    assert here.inputs > 0
    town.wait_delivered()


def judge(town, before):
    """Who died, which links were lost. Who left in good order, because a test said so, is not
    missed."""
    dead = [p.name for p in town.net.processes if not p.running() and not p.killed
            and (p in town.residents or p.popen.returncode != p.expect)]
    tally.crashes += len(dead)
    assert not dead, f"died: {dead}"
    lost = sum(len(b - a) for b, a in zip(before, town.links()))
    tally.links_lost += lost
    assert lost == 0, f"{lost} honest links were lost"
