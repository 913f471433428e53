"""Nothing lost, nothing twice: what was missed is fetched, or said to be lost."""

import json
import os
import random
import signal
import subprocess
import threading
import time

import client
import pytest
from net import FULL, SLOW, holds, ms, passed, wait_until

T = 5 * SLOW  # for one answer
PIPE = subprocess.PIPE


def wait_lines(peers, n, seconds=15):
    wait_until(lambda: all(len(p.lines()) >= n for p in peers), seconds,
               f"{n} lines at each of {len(peers)} receivers")


def each_once(p, lines):
    same = sorted(p.lines()) == sorted(lines)  # a diff of long lists takes minutes
    return same


def feed(publisher, lines, rate):
    """Gives the lines to its stdin, so many a second."""
    begin = time.monotonic()
    for i, line in enumerate(lines):
        late = begin + i / rate - time.monotonic()
        if late > 0:
            time.sleep(late)
        publisher.popen.stdin.write(line + b"\n")
        publisher.popen.stdin.flush()


def background(*calls):
    threads = [threading.Thread(target=call[0], args=call[1:]) for call in calls]
    for t in threads:
        t.start()
    return threads


# --- those who come late -----------------------------------------------------


def test_a_late_peer_fetches_everything_once(net):
    net.start_seeds(3)
    early = net.peers(4, "--receive")
    lines = [b"%05d " % i + b"h" * 94 for i in range(5000)]
    assert net.send(lines).returncode == 0
    wait_lines(early, len(lines))
    late = net.peer("--receive")
    wait_lines([late], len(lines), 2)
    assert each_once(late, lines)
    status = late.status()
    assert status["recovered"] == len(lines)
    assert status["delivered"] == len(lines)
    sizes = sum(len(client.frame(client.message(
        "Message", origin=early[0].address, incarnation=1 << 40, seq=4321, time=1 << 40,
        data=line.decode()))) for line in lines)
    assert status["bytes_in"] <= 1.2 * sizes


def test_who_does_not_want_history_gets_none_but_can_ask_for_it(net):
    net.start_seeds(1)
    a = net.peer("--send", stdin=PIPE)
    others = net.peers(3, "--receive", "--json")
    feed(a, [b"from before"], 1000)
    wait_lines(others, 1)
    said = json.loads(others[0].lines()[0])
    assert said["origin"] == a.address
    # C will be linked to the others alone: A takes nobody any more.
    a.send_signal(signal.SIGSTOP)
    c = net.peer("--receive", settings={"gossip.catch_up": "no"}, wait=True)
    wait_until(lambda: len(c.neighbors()) >= 3, 10)
    assert a.address not in c.neighbors()
    holds(lambda: c.lines() == [], 1.5)
    d = net.peer(settings={"gossip.catch_up": "no"}, stdin=PIPE, wait=True)
    wait_until(lambda: len(d.neighbors()) >= 3, 10)
    assert a.address not in d.neighbors()
    d.prompt("get " + said["id"], "from before", T)
    assert d.status()["delivered"] == 0
    a.send_signal(signal.SIGCONT)


# --- churn -------------------------------------------------------------------


def churn(net, peers, lines, seconds):
    """Five publishers say their lines; every second one peer dies and one comes."""
    receivers = net.peers(peers - 5, "--receive")
    publishers = [net.peer("--send", stdin=PIPE) for _ in range(5)]
    net.wait_connected(receivers + publishers, 30)
    lasting, mortal = receivers[:len(receivers) // 2], receivers[len(receivers) // 2:]
    said = [[b"%d says %d" % (i, j) for j in range(lines // 5)] for i in range(5)]
    threads = background(*((feed, p, said[i], lines / 5 / seconds)
                           for i, p in enumerate(publishers)))
    chance = random.Random(5)
    while any(t.is_alive() for t in threads):
        mortal.pop(chance.randrange(len(mortal))).kill()
        mortal.append(net.peer("--receive"))
        wait_until(passed(1), 2)
    for t in threads:
        t.join()
    return lasting, [line for some in said for line in some]


def check_churn(net, *how):
    net.start_seeds(3)
    lasting, lines = churn(net, *how)
    wait_lines(lasting, len(lines), 30)
    assert all(each_once(p, lines) for p in lasting)
    holds(lambda: all(len(p.lines()) == len(lines) for p in lasting), 1)


def test_who_lives_on_among_the_dying_misses_nothing(net):
    check_churn(net, 16, 2000, 5)


@pytest.mark.slow
def test_thirty_peers_one_dying_every_second_and_twenty_thousand_messages(net):
    check_churn(net, 30, 20_000, 50)


# --- those who are slow ------------------------------------------------------


@pytest.mark.parametrize("shape", ["ring", "clique"])
def test_all_publish_at_full_speed_while_one_is_stopped(net, shape):
    links = {"ring": "4", "clique": "12"}[shape]
    dials = {"ring": "2", "clique": "9"}[shape]
    n, each = (10, 5000 if FULL else 1500)
    net.start_seeds(1, overlay__max_links=links, overlay__dials=dials)
    peers = [net.peer("--send", "--receive", stdin=PIPE) for _ in range(n)]
    net.wait_connected(peers, 20)
    stopped, running = peers[0], peers[1:]
    stopped.send_signal(signal.SIGSTOP)
    said = [[b"%d says %d " % (i, j) + b"s" * 200 for j in range(each)] for i in range(n)]
    threads = background(*((feed, p, said[i], 1e9) for i, p in enumerate(peers) if i > 0))
    want = {p: [line for i in range(1, n) if peers[i] is not p for line in said[i]]
            for p in running}
    wait_until(lambda: all(len(p.lines()) >= len(want[p]) for p in running), 60,
               "everybody has heard everybody")
    for t in threads:
        t.join()
    assert all(each_once(p, want[p]) for p in running)
    stopped.send_signal(signal.SIGCONT)
    wait_until(lambda: len(stopped.lines()) >= len(want[running[0]]) + each, 30,
               "the stopped one has caught up")


def test_a_neighbor_that_falls_behind_is_told_and_fetches(net):
    """It reads nothing while more is said than an outbox holds."""
    net.start_seeds(1, gossip__max_outbox="512K", gossip__outbox_high="128K",
                    gossip__publish_wait=ms(300), gossip__slow="60s", gossip__slow_bytes="1K",
                    liveness__timeout="60s")
    peer = net.peer("--send", stdin=PIPE)
    net.wait_answer(peer)
    fake = net.fake()
    conn = client.Conn(peer.address, timeout=T)
    asked = {**fake.who, "neighbors": 4}
    assert conn.ask("Peer Request", T, **asked)["verdict"] == "accepted"
    lines = [b"%05d " % i + b"b" * 1000 for i in range(12_000)]
    feeder, = background((feed, peer, lines, 1e9))
    feeder.join(60 * SLOW)
    assert not feeder.is_alive(), "a neighbor that does not read holds up the publisher"
    wait_until(lambda: peer.status()["published"] == len(lines), 20)
    have = set()
    got = 0
    while not have or max(have) < len(lines):
        frame = conn.recv(T)
        if frame.type == "Message":
            got += 1
        elif frame.type == "Have" and frame.fields.get("all"):
            for _, _, first, last in frame["ranges"]:
                have |= set(range(first, last + 1))
    assert got < len(lines)
    assert have == set(range(1, len(lines) + 1))
    conn.close()


# --- what nobody has ---------------------------------------------------------


def gap_of(fake, first, last):
    return {"event": "gap", "origin": fake.address, "incarnation": fake.incarnation,
            "first": first, "last": last}


def test_what_nobody_has_is_reported_as_lost(net):
    net.start_seeds(1, gossip__hole_wait=ms(200), gossip__lost_after=ms(400),
                    gossip__ask_max=ms(100))
    peer = net.peer("--receive", "--json", wait=True)
    fake = net.fake()
    link = fake.link(peer.address, T)
    messages = [fake.next_message(f"number {i}") for i in range(1, 7)]
    for i in (0, 1, 4):
        link.send_bytes(client.frame(messages[i]))
    asked = link.wait("getData", T, lambda f: f.fields.get("ranges"))
    assert asked["ranges"] == [[fake.address, fake.incarnation, 3, 4]]
    link.send("Not Found", ranges=asked["ranges"])
    wait_until(lambda: len(peer.lines()) == 4, 5, "the gap is told")
    assert json.loads(peer.lines()[3]) == gap_of(fake, 3, 4)
    status = peer.status()
    assert (status["lost"], status["delivered"]) == (2, 3)
    assert peer.log_has(r"lost .*seq 3.* 4")
    # too late: it was given up
    link.send_bytes(client.frame(messages[2]))
    link.send_bytes(client.frame(messages[5]))
    wait_until(lambda: len(peer.lines()) == 5, 5)
    assert json.loads(peer.lines()[4])["seq"] == 6


def test_a_hole_that_somebody_can_fill_is_filled(net):
    net.start_seeds(1, gossip__hole_wait=ms(200), gossip__lost_after=ms(30000))
    peer = net.peer("--receive", wait=True)
    fake = net.fake()
    link = fake.link(peer.address, T)
    messages = [fake.next_message(f"number {i}") for i in range(1, 5)]
    for i in (0, 3):
        link.send_bytes(client.frame(messages[i]))
    asked = link.wait("getData", T, lambda f: f.fields.get("ranges"))
    assert asked["ranges"] == [[fake.address, fake.incarnation, 2, 3]]
    for i in (1, 2):
        link.send_bytes(client.frame(messages[i], flags=1))
    wait_until(lambda: len(peer.lines()) == 4, 5)
    assert peer.status()["lost"] == 0


# --- nonsense ----------------------------------------------------------------


TOP = (1 << 53) - 1


def nonsense(fake, peer):
    """Frames that are well formed and mean harm, as (type, fields)."""
    me, ghost = [fake.address, fake.incarnation], ["127.0.0.1:1", 7]
    theirs = [peer.address, peer.status()["incarnation"]]
    wide = [[*ghost, 1 + i, TOP - i] for i in range(800)]
    ghosts = [[f"127.0.0.1:{1 + i}", 1 + i, 1, TOP] for i in range(800)]
    holes = [[*ghost, 2 * i + 1, 2 * i + 1] for i in range(800)]
    for ranges in (wide, ghosts, holes, [[*theirs, 1, TOP]], [[*me, 5, TOP]]):
        yield "Have", {"ranges": ranges}
        yield "Have", {"ranges": ranges, "all": True, "more": True}
        yield "getData", {"ranges": ranges, "graft": True}
        yield "Not Found", {"ranges": ranges}
    runs = [[f"127.0.0.1:{1 + i}", 1 + i] for i in range(1000)]
    for kind in ("Graft", "Prune"):
        yield kind, {"runs": runs}
        yield kind, {"runs": [theirs] * 1000}


def test_nonsense_harms_nobody(net):
    net.start_seeds(1)
    peers = net.peers(3, "--receive")
    fake = net.fake()
    link = fake.link(peers[0].address, T)
    threads = peers[0].threads()
    for _ in range(5):
        for kind, fields in nonsense(fake, peers[0]):
            link.send(kind, **fields)
    for i in range(200):  # flagged as anything they like
        link.send_bytes(client.frame(fake.next_message(f"flagged {i}"), flags=i % 4))
    link.ping(20 * SLOW)
    wait_lines(peers, 200)
    lines = [b"flagged %d" % i for i in range(200)]
    assert all(each_once(p, lines) for p in peers)
    assert peers[0].status()["rejected"]["out_of_place"] > 0
    assert peers[0].threads() <= threads
    with open(f"/proc/{peers[0].pid}/statm") as f:
        resident = int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert SLOW > 1 or resident < 64 << 20
    assert net.send([b"still well"]).returncode == 0
    wait_lines(peers, 201)


def test_ranges_that_run_backwards_are_a_breach(net):
    net.start_seeds(1)
    peer = net.peer(wait=True)
    for kind in ("Have", "getData", "Not Found"):
        fake = net.fake()
        link = fake.link(peer.address, T)
        link.send(kind, ranges=[[fake.address, fake.incarnation, 2, 1]])
        wait_until(lambda link=link: link.over, 5)
    assert peer.status()["rejected"]["malformed"] == 3
