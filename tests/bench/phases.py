"""What is measured in a network, a function each: network and sizes in, figures
out. All figures of a phase are a flat dict of numbers."""

import datetime
import os
import re
import signal
import sys
import time
from pathlib import Path

import figures
import machine
from network import Failed
from nodes import line

sys.path.append(str(Path(__file__).resolve().parent.parent / "system"))
import client  # noqa: E402  the protocol in Python, from the system tests

STALL_SECONDS = 10
NOTICED = ("closed", "lost", "silent")  # words of a peer's log for a link that ended


def _completeness(receivers, owed):
    """Of all that was owed to these nodes; owed: number of messages for each."""
    came = different = 0
    for node in receivers:
        all_of_it, names = node.tape.names()
        came += all_of_it
        different += names
    return {"deliveries": different, "duplicates": came - different,
            "delivered": different / max(1, sum(owed))}


def idle(net, seconds=5.0, ask=True):
    """Nothing is published. Links are counted by asking every node (ours only, no key)."""
    links = survey(net) if ask else {}
    pids = net.node_pids()
    cpu = machine.cpu_seconds(pids)
    net.run_for(seconds)
    cpu = machine.cpu_seconds(pids) - cpu
    return {"cpu_percent": 100 * cpu / seconds / len(net.nodes),
            "pss_mib": machine.pss_kib(pids) / 1024 / len(net.nodes),
            "threads": machine.thread_count(pids) / len(net.nodes), **links}


def survey(net):
    """Links of each node, and into how many parts the network falls."""
    links = {net.address(node): client.peer_list(net.address(node)) for node in net.living()}
    return {"links": sum(map(len, links.values())) / len(links),
            "components": figures.components(links)}


def latency(net, rate=100, seconds=10.0, size=256):
    """Node 0 publishes at a fixed rate."""
    messages, others = int(rate * seconds), net.nodes[1:]
    net.begin("L", messages, size)
    pids = net.pids()
    cpu = machine.cpu_seconds(pids)
    begin = time.monotonic()
    for number in range(messages):
        while (left := begin + number / rate - time.monotonic()) > 0:
            net.poll(left)
        net.publish(net.nodes[0], number, size)
    owed = messages * len(others)
    net.run_until(lambda: net.total >= owed, 30, STALL_SECONDS)
    cpu = machine.cpu_seconds(pids) - cpu
    late = [read - sent for node in others for _, sent, read in node.tape.deliveries()]
    out = _completeness(others, [messages] * len(others))
    return {**out, "p50_ms": (figures.percentile(late, 0.5) or 0) / 1e6,
            "p99_ms": (figures.percentile(late, 0.99) or 0) / 1e6,
            "max_ms": max(late, default=0) / 1e6,
            "cpu_us": cpu * 1e6 / max(1, out["deliveries"])}


def throughput(net, messages=100_000, size=256, publishers=1, seconds=300):
    """As fast as the publishers' stdin takes it, from the first byte to the last
    delivery."""
    publishing = net.nodes[:publishers]
    each = messages // publishers
    net.begin("M", messages, size)
    data = [b"".join(line(net.kind, node.index, number, size) for number in range(each))
            for node in publishing]
    owed = [each * publishers - (each if node in publishing else 0) for node in net.nodes]
    receivers = [node for node, some in zip(net.nodes, owed) if some]
    want = sum(owed)
    nodes, boots, busy = net.node_pids(), net.boot_pids(), machine.busy_seconds()
    own, cpu = time.process_time(), machine.cpu_seconds(nodes + boots)
    begin = time.monotonic_ns()
    for node, lines in zip(publishing, data):
        net.send(node, lines)
    net.run_until(lambda: net.total >= want, seconds, STALL_SECONDS)
    end = max((node.tape.times[-1] for node in receivers if node.tape.times), default=begin)
    cpu, own = machine.cpu_seconds(nodes + boots) - cpu, time.process_time() - own
    busy = machine.busy_seconds() - busy
    took = max(1, end - begin) / 1e9
    out = _completeness(receivers, owed)
    return {**out, "seconds": took, "per_s": out["deliveries"] / took,
            "mib_per_s": out["deliveries"] * size / took / (1 << 20),
            "cpu_us": cpu * 1e6 / max(1, out["deliveries"]),
            "cpu_s": cpu, "driver_cpu_s": own, "machine_cpu_s": busy,
            "pss_mib": machine.pss_kib(nodes) / 1024 / len(net.nodes)}


def join(net, times=3, pause=0.002, seconds=20):
    """Another node starts, and hears what is published meanwhile; then it leaves."""
    took = []
    for _ in range(times):
        net.begin("J")
        node = net.start_node()
        number, end = 0, time.monotonic() + seconds
        while not node.tape.count and time.monotonic() < end:
            net.publish(net.nodes[0], number, 64)
            number += 1
            due = time.monotonic() + pause
            while not node.tape.count and (left := due - time.monotonic()) > 0:
                net.poll(left)
        heard = list(node.tape.deliveries())
        if heard:
            took.append((heard[0][2] - node.begun_ns) / 1e6)
        node.process.send_signal(signal.SIGTERM)
        net.run_until(lambda node=node: node.ended, 10, 10)
        node.process.wait()
        net.run_for(0.3)
        net.nodes.pop()
        _forget(net, node)
    return {"joined": len(took) / times, "ms": figures.median(took)}


def _forget(net, node):
    if not node.ended:
        raise Failed("a node that was told to leave stays")
    if node.unsent:
        net.epoll.unregister(node.stdin)
    del net.by_fd[node.stdin], net.by_fd[node.stdout]
    node.close()


# --- a node is killed ------------------------------------------------------------


def kill(net, times=3, seconds=10.0):
    """kill -9: when its neighbors note it in their logs, and the seed forgets it."""
    noticed, removed, lacking = [], [], 0
    for victim in net.nodes[-1:-1 - times:-1]:
        neighbors = client.peer_list(net.address(victim))
        with client.Conn(f"127.0.0.1:{net.boot_port}") as seed:
            wall, gone = _kill_and_watch(net, victim, seed, seconds)
        net.run_for(0.5)  # a log is written every 100 ms
        moments = [_moment(net, neighbor, victim, wall) for neighbor in neighbors]
        known = [moment for moment in moments if moment is not None]
        lacking += len(moments) - len(known)
        noticed += known
        removed.append(gone)
        net.run_for(1.0)  # until its neighbors have other links
    if not noticed or None in removed:
        raise Failed("a killed peer was not missed")
    return {"noticed_p50_ms": figures.median(noticed), "noticed_ms": max(noticed),
            "not_noticed": lacking, "removed_s": max(removed)}


def _kill_and_watch(net, victim, seed, seconds):
    """(wall clock at the kill, seconds until the seed does not list it or None)"""
    wall, begin = time.time(), time.monotonic()
    os.kill(victim.pid, signal.SIGKILL)
    while (gone := time.monotonic() - begin) < seconds:
        if net.address(victim) not in seed.ask("Get Peer List", want=1000)["peers"]:
            return wall, gone
        net.run_for(0.005)
    return wall, None


def _moment(net, neighbor, victim, wall):
    """ms from the kill until that neighbor's log says so; its clock counts ms."""
    port = neighbor.rpartition(":")[2]
    log = Path(net.dir, "log", "clients", f"output_{port}.log")
    pattern = re.compile(rf"(\S+Z) \S+ +(?:{'|'.join(NOTICED)}) +{re.escape(net.address(victim))}\b")
    for text in log.read_text(encoding="utf-8", errors="replace").splitlines():
        found = pattern.match(text)
        if not found:
            continue
        stamp = datetime.datetime.fromisoformat(found[1].replace("Z", "+00:00")).timestamp()
        if stamp > wall - 0.002:
            return max(0.0, (stamp - wall) * 1000)
    return None


PHASES = {f.__name__: f for f in (idle, survey, latency, throughput, join, kill)}
