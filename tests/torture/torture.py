#!/usr/bin/env python3
"""Twenty peers and three seeds, all of whom are made to suffer, and must keep every promise.

usage: tests/torture/torture.py [--minutes 30] [--seed N] [--peers 20] [--rate R] [--slow S]

Peers publish all the time, while they are killed, stopped, asked to leave and started
again, cut off from one another, lied to and flooded, and the seeds as well (plan.py).
Two fifths of the peers are never ended. Every five minutes, and at the end, it is quiet,
and then everything must be there once, in one network, with nothing left over (judge.py).

With root, ip and nft every peer and seed is a host of its own (tests/system/hosts.py);
else all are on 127.0.0.1 and nothing is cut. SEEDPEER_BIN (default ./bin) holds the
programs. exit status: 0 all was well, 1 something was not, 2 wrong usage, 130 interrupted.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[1:1] = [str(TESTS / "system"), str(TESTS / "hostile")]
sys.dont_write_bytecode = True

# 99 is no status of ours: a report can never pass for an expected failure.
for name, value in {
        "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:"
                        "abort_on_error=0:exitcode=99",
        "UBSAN_OPTIONS": "print_stacktrace=1:exitcode=99",
        "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1:exitcode=99"}.items():
    os.environ.setdefault(name, value)

import hosts as netns  # noqa: E402
import net  # noqa: E402
import plan  # noqa: E402
from faults import Faults  # noqa: E402
from judge import Judge  # noqa: E402
from world import World  # noqa: E402

ROUND = 300  # seconds between two quiet times
TERM_SECONDS = 2.0


class Loopback:
    """Where there can be no hosts of our own."""

    def __init__(self, n, why_not):
        self.n, self.why_not, self.observer = n, why_not, "127.0.0.1"

    def address(self, i):
        return "127.0.0.1"

    def prefix(self, i):
        return []

    def free_port(self, i):
        return net.free_port("127.0.0.1")

    def close(self):
        pass


class Apart(netns.Hosts):
    """Each a host of its own; every port of it is free but those used before."""
    why_not = None
    observer = netns.ROUTER

    def free_port(self, i):
        self.used = getattr(self, "used", {})
        self.used[i] = self.used.get(i, 4999) + 1
        return self.used[i]


def options():
    p = argparse.ArgumentParser(description="Torture for a network of seeds and peers.")
    p.add_argument("--minutes", type=float, default=30)
    p.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30),
                   help="of the random numbers; the same seed, the same plan")
    p.add_argument("--peers", type=int, default=20)
    p.add_argument("--rate", type=float, default=20, help="lines a second, of all together")
    p.add_argument("--slow", type=float, default=1, help="stretches all times but the total")
    p.add_argument("--interval", type=float, default=1.4, help="seconds from step to step")
    o = p.parse_args()
    if not 5 <= o.peers <= 200 or o.minutes <= 0 or o.slow < 1:
        p.error("5 to 200 peers, a positive time, and at least --slow 1")
    o.term_seconds = TERM_SECONDS * o.slow
    o.wrap = []
    bits = Path("/proc/sys/vm/mmap_rnd_bits")
    if bits.exists() and int(bits.read_text()) > 28 and shutil.which("setarch"):
        o.wrap = ["setarch", "-R"]  # sanitizers cannot live with much randomness in addresses
    return o


def settings(beat, apart):
    """Timers so short that a beat is what fifteen seconds are with those as shipped."""
    def part(of):
        return f"{int(beat * of * 1000)}ms"
    out = {"liveness.interval": part(1 / 4), "liveness.busy_interval": part(1),
           "liveness.timeout": part(1), "seed.period": part(2), "seed.verify_connect": part(1 / 4),
           "seed.verify_reply": part(1 / 2), "seed.verify_retry": part(1 / 8),
           "seed.dial_back": part(1 / 2), "overlay.dial_timeout": part(1 / 4),
           "overlay.seed_timeout": part(1 / 2), "overlay.repair_max": part(1 / 2),
           "overlay.urgent_interval": part(1), "gossip.hole_wait": part(1),
           # What is behind a cut is not lost; nothing is forgotten while this lasts.
           "gossip.lost_after": part(60), "gossip.store_messages": "4000000",
           "gossip.store_bytes": "4G", "log.max_size": "1M", "log.color": "never"}
    if apart:
        out["security.insecure"] = "yes"
    return out


def resident(world):
    """MiB of all processes, and of the largest."""
    mine = []
    for who in world.runners() + world.live_seeds():
        pages = int(Path(f"/proc/{who.pid}/statm").read_text().split()[1])
        mine.append(pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20))
    return sum(mine), max(mine)


def pain(world, faults, steps, begin):
    """One round of the plan; the clock of the plan stands still while it is quiet."""
    for step in steps:
        while time.monotonic() < begin + step.at % ROUND and not world.problems:
            faults.do_what_is_due()
            world.check_unexpected()
            time.sleep(0.02)
        if world.problems:
            return
        faults.apply(step)


def start(world):
    for s in world.seeds:
        world.start_seed(s)
    for t in world.threads:
        t.start()
    for p in world.places:
        world.start_peer(p)


def run(world, judge, o, beat):
    """All rounds, up to the first problem."""
    faults = Faults(world, beat)
    start(world)
    judge.settle()
    judge.measure_base()
    world.rss = [resident(world)]
    steps = plan.steps(o.seed, o.minutes * 60, o.interval)
    rounds = int(steps[-1].at // ROUND) + 1 if steps else 0
    for i in range(rounds):
        world.rate = o.rate
        pain(world, faults, [s for s in steps if s.at // ROUND == i], time.monotonic())
        faults.undo_all()
        world.rate = 0.0
        if not world.problems:
            judge.settle()
        world.rss.append(resident(world))
        if world.problems:
            return
        say(f"{i + 1} of {rounds} rounds: {world.counts['delivered']} deliveries, "
            f"{len(world.term_seconds)} SIGTERMs, all well")


def stop(world):
    """SIGTERM to all at once."""
    for who in world.runners() + world.live_seeds():
        world.terminate(who)
    while world.ending:
        world.check_unexpected()
        time.sleep(0.05)


def say(text):
    print(text, flush=True)


def table(world, judge, o, seconds):
    c, ends = world.counts, sorted(world.term_seconds) or [(0.0, 0.0, "none")]
    terms = [took for took, _, _ in ends]
    stops = sorted(stop for _, stop, _ in ends if stop == stop)
    rows = [("random seed", f"{o.seed}, {seconds / 60:.1f} minutes, {o.peers} peers, 3 seeds"),
            ("programs", str(net.BIN)),
            ("hosts", world.hosts.why_not or f"{world.hosts.n} network namespaces")]
    for kind in plan.WEIGHTS:
        skipped = kind.startswith("cut") and world.hosts.why_not
        rows.append((kind, f"skipped: {world.hosts.why_not}" if skipped else str(c[kind])))
    p99 = terms[int(len(terms) * 0.99)]
    rows += [("peers, seeds killed", f"{c['peers killed']}, {c['seeds killed']}"),
             ("SIGTERMs of processes", f"{len(world.term_seconds)}: {c['exit 0']} exit 0, "
              f"{c['exit 1, unsent lines told']} exit 1 with unsent lines told"),
             ("  until they ended", f"p50 {terms[len(terms) // 2]:.2f} s, p99 {p99:.2f} s, "
              f"longest {terms[-1]:.2f} s, over 2 s: {sum(t > TERM_SECONDS for t in terms)}, "
              f"limit {o.term_seconds:g} s"),
             ("  until their log said stop", f"p99 {stops[int(len(stops) * 0.99)]:.2f} s, "
              f"longest {stops[-1]:.2f} s, over 2 s: {sum(t > TERM_SECONDS for t in stops)}"),
             ("  the slowest", ", ".join(f"{name} {took:.2f} s (stop {stop:.2f} s)"
                                         for took, stop, name in ends[-3:])),
             ("messages published", f"{len(world.ids)} heard of"),
             ("delivered", str(c["delivered"])), ("lost", str(c["lost"])),
             ("delivered twice", str(c["delivered twice"])),
             ("sanitizer reports", str(c["sanitizer reports"]))]
    for kind, base in judge.base.items():
        now = judge.last.get(kind, "?")
        rows.append((f"{kind}: threads, fds", f"{base} at the beginning, {now} at the end"))
    rows += [(f"quiet, {what}", f"after {took:.1f} s at most") for what, took in judge.took.items()]
    rows.append(("resident MiB: all, largest",
                 ", ".join(f"{total:.0f} {most:.0f}" for total, most in world.rss)))
    say("\n".join(f"{name:30} {value}" for name, value in rows))


def interrupt(*_):
    raise KeyboardInterrupt


def torture(o, directory):
    why_not = netns.why_not()
    n = o.peers + 3
    where = Loopback(n, why_not) if why_not else Apart(n)
    beat = 2.0 * o.slow
    world = World(where, directory, o, settings(beat, not why_not))
    world.rss = []
    judge, begin = Judge(world, o.slow), time.monotonic()
    try:
        run(world, judge, o, beat)
        stop(world)
    finally:
        world.close()
        where.close()
    table(world, judge, o, time.monotonic() - begin)
    return world.problems


def main():
    o = options()
    signal.signal(signal.SIGTERM, interrupt)
    directory = Path(tempfile.mkdtemp(prefix="torture-"))
    say(f"torture: random seed {o.seed}, {o.minutes:g} minutes, {net.BIN}")
    try:
        problems = torture(o, directory)
    except KeyboardInterrupt:
        shutil.rmtree(directory)
        say("torture: interrupted")
        return 130
    if problems:
        say("\n".join(["", *problems[:20]]))
        say(f"\nFAILED: {len(problems)} problems; logs are in {directory}. The same plan again:\n"
            f"  SEEDPEER_BIN={net.BIN} tests/torture/torture.py --seed {o.seed} "
            f"--minutes {o.minutes:g} --peers {o.peers} --rate {o.rate:g} --slow {o.slow:g} "
            f"--interval {o.interval:g}")
        return 1
    shutil.rmtree(directory)
    say("torture: all well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
