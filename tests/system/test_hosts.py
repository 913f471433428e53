"""What a host does to its processes: no descriptors, no threads, no disk, no clock to
rely on, processes that are stopped and killed, streams that are closed.

SEEDPEER_FULL=1 runs the long ones and prints their figures.
"""

import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import threading
import time
from pathlib import Path

import client
import pytest
from client import Conn
from net import BIN, FULL, PEER, SEED, SLOW, free_port, holds, ms, passed, wait_until
from town import Ears, Publishers, shipped_through

T = 5 * SLOW  # for one answer
PIPE = subprocess.PIPE
FAST = 20 / SLOW
once = pytest.mark.skipif(SLOW > 1, reason="a matter of hosts, seen on the plain build")


def figures(capsys, text):
    """For whoever runs this; pytest would show it for failures only."""
    with capsys.disabled():
        print(f"\n  {text}")


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wakeups(pid):
    """How often its threads went to sleep and came back: who fails and retries does both."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)",
                                   (task / "status").read_text(), re.M).group(1))
    return total


@pytest.fixture
def ears():
    e = Ears()
    yield e
    e.close()


def listener(net, ears, *options, send=False, **how):
    """A peer that receives as JSON, to be heard by the ears."""
    if send:
        options = ("--send", "--wait", "86400", *options)
        how["stdin"] = PIPE
    return ears.add(net.peer("--receive", "--json", *options, stdout=PIPE, **how))


def told_all(ears, publishers, seconds=30):
    said = publishers.quiet()
    wait_until(lambda: ears.has_all(said), seconds, "everybody has heard everything")
    ears.check(said)
    return sum(said.values())


# --- out of descriptors ------------------------------------------------------


def starve(process, soft):
    before = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (soft, before[1]))
    return before


def test_without_descriptors_nobody_spins_and_links_stay(net, ears, capsys):
    """Not even the reserve helps: no new descriptor can be had at all."""
    seed = net.start_seeds(1)[0]
    peers = [listener(net, ears, send=i == 0) for i in range(3)]
    net.wait_connected(peers)
    publishers = Publishers(peers[:1], 20)
    victims = [seed, peers[1]]
    before = [starve(p, 5) for p in victims]
    callers = [Conn(p.address) for p in victims for _ in range(20)]
    begin = time.monotonic()
    cpu, wakes = [cpu_seconds(p.pid) for p in victims], [wakeups(p.pid) for p in victims]
    wait_until(passed(2), 3)
    seconds = time.monotonic() - begin
    for i, p in enumerate(victims):
        used = (cpu_seconds(p.pid) - cpu[i]) / seconds
        woken = (wakeups(p.pid) - wakes[i]) / seconds
        figures(capsys, f"{p.name} without descriptors, 20 callers waiting: {used * 100:.1f} % "
                f"of a core, {woken:.0f} wakeups a second")
        assert used < 0.1 * SLOW
        # 20 a second are for accept; the rest is the work of a peer that has links
        assert woken < (60 if p is seed else 400)
    assert peers[0].address in links_without_asking(peers[1])
    for p, limit in zip(victims, before):
        resource.prlimit(p.pid, resource.RLIMIT_NOFILE, limit)
    for conn in callers:  # answered or sent away, but nobody is left hanging
        with contextlib.suppress(client.Ended):
            assert conn.ask("Liveliness", T, nonce=1)["nonce"] == 1
        conn.close()
    for p in victims:
        net.wait_answer(p)
    told_all(ears, publishers)


def links_without_asking(peer):
    """Its neighbors by its log: asking it would need a descriptor."""
    up, text = set(), peer.log_text()
    for word, address in re.findall(r"(join|lost|leave) +(\S+:\d+)", text):
        up.add(address) if word == "join" else up.discard(address)
    return up


# --- out of threads ----------------------------------------------------------


@contextlib.contextmanager
def pids_cgroup():
    """The directory of a new control group that limits threads, version 1 or 2."""
    for top in ("/sys/fs/cgroup/pids", "/sys/fs/cgroup"):
        path = Path(top) / f"seedpeer{os.getpid()}"
        try:
            path.mkdir()
        except OSError:
            continue
        if (path / "pids.max").exists():
            break
        path.rmdir()
    else:
        pytest.skip("no control group for pids here (needs root)")
    try:
        yield path
    finally:
        for pid in (path / "cgroup.procs").read_text().split():
            with contextlib.suppress(OSError):
                (path.parent / "cgroup.procs").write_text(pid)
        wait_until(lambda: not (path / "cgroup.procs").read_text().strip(), 5)
        path.rmdir()


def test_without_threads_callers_are_sent_away_and_links_stay(net, ears):
    with pids_cgroup() as group:
        seed = net.start_seeds(1, seed__period=ms(60000))[0]
        peers = [listener(net, ears, send=i == 0) for i in range(3)]
        net.wait_connected(peers)
        publishers = Publishers(peers[:1], 20)
        victims = [seed, peers[1]]
        wait_until(passed(5.5), 7)  # their workers have gone home
        for p in victims:
            (group / "cgroup.procs").write_text(str(p.pid))
        (group / "pids.max").write_text(str(sum(p.threads() for p in victims)))
        for p in victims:
            for _ in range(30):
                with Conn(p.address, timeout=T) as conn:
                    assert conn.ends(T)
            wait_until(lambda p=p: p.log_has(r"refused .*no thread for it"), 3)
        (group / "pids.max").write_text("max")
        for p in victims:
            net.wait_answer(p)
            assert p.status()["rejected" if p is peers[1] else "refused"]
        told_all(ears, publishers)
        assert net.connected(peers)


@once
def test_a_user_with_few_threads_has_a_daemon_that_says_so_or_lives(net):
    """RLIMIT_NPROC, which does not bind root: from too few to start with up to enough."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv")
    net.set_up(1)
    net.seed(0)
    place = Path(f"/tmp/seedpeer-nproc-{os.getpid()}")
    place.mkdir()
    try:
        os.chmod(place, 0o777)
        shutil.copy(PEER, place / "peer")
        shutil.copy(net.config, place / "config.ini")
        outcomes = [started_with(net, place, n) for n in range(1, 16)]
    finally:
        shutil.rmtree(place)
    assert "ended" in outcomes and "lives" in outcomes, outcomes


def started_with(net, place, threads):
    """A peer of a user of its own who may have so many threads in all."""
    user = 61000 + os.getpid() % 1000 + threads
    address = f"127.0.0.1:{free_port('127.0.0.1')}"
    p = net.start(["setpriv", f"--reuid={user}", "--clear-groups", "prlimit", f"--nproc={threads}",
                   str(place / "peer"), "-c", str(place / "config.ini"), "-l", address,
                   "--log-dir", str(place / f"logs{threads}")], f"nproc{threads}", expect=None)

    def decided():
        if not p.running():
            return "ended"
        with contextlib.suppress(OSError, client.Ended):
            with Conn(address, timeout=T) as conn:
                conn.ask("Liveliness", T, nonce=1)
                return "lives"
        return None
    try:
        how = wait_until(decided, 3)
    except AssertionError:
        how = "deaf"  # it runs, but has no thread for callers
    if how == "ended":
        assert p.popen.returncode == 1, p.err()
        assert p.err().strip(), "it ended without a word"
    else:
        assert p.ends() == 0
    return how
