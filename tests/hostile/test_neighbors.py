"""A neighbor that was accepted and abuses it: announcements, questions, forged messages, floods.
It may waste its own link; the victim goes on serving everybody else."""

import itertools
import random
import socket
import time

import mutations
import pytest
from attacker import T, Neighbor, Voice, liveliness, request_frame
from net import FULL, SLOW, ms, passed, wait_until
from town import bystander, resident

import client
from client import SPREAD, frame, message

SEQ_MAX = mutations.SEQ_MAX
RANGES_MAX, RUNS_MAX = 800, 1000
MIB = 1 << 20
MUCH = 5 if FULL else 1

ports = itertools.count(10000)


def runs(n, host=None):
    """n identities that nobody has."""
    out = []
    while len(out) < n:
        port = next(ports)
        out.append([f"127.{port // 50000 % 250 + 1}.{port // 10000 % 5}.9:{port % 50000 + 1}", 1])
    return out


def have(ranges, **more):
    return frame(message("Have", ranges=ranges, **more))


@pytest.fixture
def abuser(town):
    link = Neighbor(town.victim.address)
    yield link
    link.leave()


def pour_and_settle(link, data, seconds=60):
    """All of it, and until it has been handled."""
    assert link.pour(data, seconds), "the link was ended"
    link.ping(seconds)


# --- announcements -----------------------------------------------------------


def test_ranges_of_all_there_could_ever_be_are_announced(town, abuser):
    with bystander(town, "Have: huge ranges") as b:
        frames = [have([run + [1, SEQ_MAX] for run in runs(RANGES_MAX)], all=bool(i % 2))
                  for i in range(20 * MUCH)]
        frames += [have([run + [SEQ_MAX, SEQ_MAX] for run in runs(RANGES_MAX)])
                   for _ in range(5)]
        pour_and_settle(abuser, b"".join(frames))
        b.inputs += len(frames)


@pytest.mark.parametrize("what", ["the same run", "other runs", "single messages"])
def test_800_ranges_are_announced_again_and_again(town, abuser, what):
    """A batch of 256 such frames is handled under one lock."""
    n = 2000 if FULL else 256
    with bystander(town, f"Have: 800 ranges, {what}") as b:
        if what == "the same run":
            run, = runs(1)
            one = have([run + [3 * i + 1, 3 * i + 2] for i in range(RANGES_MAX)])
            data = one * n
        elif what == "other runs":
            data = b"".join(have([run + [1, 2] for run in runs(RANGES_MAX)]) for _ in range(n))
        else:
            run, = runs(1)
            data = b"".join(have([run + [2 * (RANGES_MAX * k + i) + 1] * 2
                                  for i in range(RANGES_MAX)]) for k in range(n))
        pour_and_settle(abuser, data)
        b.inputs += n


def test_what_only_the_victim_can_know_is_announced(town, abuser):
    """Messages of its own run that it never published."""
    who, born = client.identity(town.victim.address, T)
    before = town.rejected(town.victim)["out_of_place"]
    with bystander(town, "Have: the victim's own run") as b:
        pour_and_settle(abuser, have([[who, born, 1, SEQ_MAX]]) * 500)
        b.inputs += 500
    assert town.rejected(town.victim)["out_of_place"] >= before + 500
    assert "getData" not in abuser.heard


def test_the_honest_run_is_announced_far_into_the_future(town, abuser):
    """Nobody has these messages; the real ones still come."""
    who, born = client.identity(town.publisher.address, T)
    with bystander(town, "Have: the future of an honest run") as b:
        pour_and_settle(abuser, have([[who, born, 1, town.count + 100000]]) * 300)
        b.inputs += 300
        time.sleep(0.2)  # for more honest messages to come under it


def test_a_neighbor_announces_and_never_delivers(town, abuser):
    run, = runs(1)
    with bystander(town, "Have: and then Not Found") as b:
        abuser.send_bytes(have([run + [1, 5000]]))
        wait_until(lambda: abuser.heard.get("getData"), 5)
        for _ in range(200):
            abuser.send_bytes(frame(message("Not Found", ranges=[run + [1, 5000]])))
            abuser.send_bytes(have([run + [1, 5000]]))
        abuser.ping()
        b.inputs += 401


# --- questions ---------------------------------------------------------------


def test_the_same_is_asked_for_again_and_again_and_nothing_is_read(build):
    town = build(gossip__slow=ms(1500))
    voice, source = Voice(), Neighbor(town.victim.address)
    source.send_bytes(b"".join(voice.say("y" * 4000) for _ in range(300)))
    source.ping()
    before = resident(town.victim.pid)
    deaf = Neighbor(town.victim.address, deaf=True, buffer=4096)
    ask = frame(message("getData", ranges=[[voice.origin, voice.born, 1, 300]], graft=True))
    with bystander(town, "getData: the same, unread") as b:
        try:
            deaf.pour(ask * 20000, 5)
        except TimeoutError:
            pass  # it is not read any more: as good
        b.inputs += 20000
        wait_until(lambda: deaf.address not in town.victim.neighbors(), 10,
                   "it is ended as too slow")
        assert resident(town.victim.pid) - before < 16 * MIB or SLOW > 1
    deaf.close()
    source.leave()


@pytest.mark.parametrize("what", ["everything", "800 ranges", "an id", "nothing"])
def test_what_is_not_there_is_asked_for(town, abuser, what):
    asks = {
        "everything": [message("getData", ranges=[run + [1, SEQ_MAX]], graft=True)
                       for run in runs(3000)],
        "800 ranges": [message("getData", ranges=[run + [1, SEQ_MAX] for run in runs(RANGES_MAX)])
                       for _ in range(200)],
        "an id": [message("getData", id=f"{i:032x}") for i in range(5000)],
        "nothing": [message("getData", ranges=[])] * 5000,
    }[what]
    with bystander(town, f"getData: {what}") as b:
        pour_and_settle(abuser, b"".join(map(frame, asks)) * MUCH)
        b.inputs += len(asks) * MUCH


@pytest.mark.parametrize("kind", ["Not Found", "Graft", "Prune"])
def test_a_flood_about_runs_that_nobody_knows(town, abuser, kind):
    def one():
        if kind == "Not Found":
            return message(kind, ranges=[run + [1, SEQ_MAX] for run in runs(RANGES_MAX)])
        return message(kind, runs=runs(RUNS_MAX))
    with bystander(town, f"{kind}: unknown runs") as b:
        n = 200 * MUCH
        pour_and_settle(abuser, b"".join(frame(one()) for _ in range(n)))
        b.inputs += n


def test_the_honest_run_is_grafted_and_pruned_again_and_again(town, abuser):
    run = list(client.identity(town.publisher.address, T))
    pair = frame(message("Graft", runs=[run], all=True)) + frame(message("Prune", runs=[run]))
    with bystander(town, "Graft and Prune of an honest run") as b:
        pour_and_settle(abuser, pair * 5000)
        b.inputs += 10000
        pour_and_settle(abuser, frame(message("Prune", runs=[run] * RUNS_MAX)) * 200)
        b.inputs += 200


# --- messages ----------------------------------------------------------------


def test_messages_of_65536_runs_that_nobody_started(build):
    """Each flagged to go everywhere; the honest run is not among those that are dropped."""
    town = build()
    link = Neighbor(town.victim.address)
    n = 70000 if FULL else 20000
    with bystander(town, "Message: forged origins") as b:
        for _ in range(n // 1000):
            data = b"".join(Voice(origin, 1).say("", SPREAD) for origin, _ in runs(1000))
            assert link.pour(data, 60)
            b.inputs += 1000
        link.ping(60)
    assert town.status(town.victim)["delivered"] >= n
    link.leave()


def test_50000_messages_a_second_from_one_neighbor(build):
    """They are passed on like any others, as fast as the others take them."""
    town = build()
    link, voice = Neighbor(town.victim.address), Voice()
    n = 50000 * (3 if FULL else 1)
    data = b"".join(voice.say("flood") for _ in range(n))
    with bystander(town, "Message: 50,000 a second") as b:
        pour_and_settle(link, data, 120)
        b.inputs += n
        voice_at_receiver = f'"origin":"{voice.origin}"'.encode()
        wait_until(lambda: town.receiver.process.out().count(voice_at_receiver) >= n, 60)
    assert town.receiver.process.out().count(voice_at_receiver) == n
    link.leave()


def test_one_message_is_said_50000_times(town, abuser):
    voice = Voice()
    with bystander(town, "Message: the same again") as b:
        pour_and_settle(abuser, voice.say("again") * 50000)
        b.inputs += 50000
    assert abuser.heard.get("Prune", 0) <= 10


@pytest.mark.parametrize("what", ["every other", "downwards", "the last first", "at random"])
def test_seqs_with_holes(town, abuser, what):
    n = 3000
    seqs = {"every other": range(1, 2 * n, 2), "downwards": range(2 * n, 0, -2),
            "the last first": [SEQ_MAX] + list(range(1, n)),
            "at random": random.Random(1).sample(range(1, SEQ_MAX), n)}[what]
    voice = Voice()
    with bystander(town, f"Message: seqs with holes, {what}") as b:
        pour_and_settle(abuser, b"".join(voice.say("hole", seq=seq) for seq in seqs))
        b.inputs += len(seqs)


def test_one_seq_with_many_contents(town, abuser):
    """The first is believed, the others are counted."""
    voice = Voice()
    before = town.status(town.victim)
    with bystander(town, "Message: one seq, many contents") as b:
        pour_and_settle(abuser, b"".join(voice.say(f"version {i}", seq=1) for i in range(5000)))
        b.inputs += 5000
    after = town.status(town.victim)
    assert after["conflicts"] - before["conflicts"] == 4999


def test_messages_in_the_name_of_the_victim(town, abuser):
    who, born = client.identity(town.victim.address, T)
    before = town.status(town.victim)["conflicts"]
    with bystander(town, "Message: in the victim's name") as b:
        voice = Voice(who, born)
        pour_and_settle(abuser, b"".join(voice.say("I never said that") for _ in range(2000)))
        b.inputs += 2000
    assert town.status(town.victim)["conflicts"] - before == 2000
    assert b"I never said that" not in town.receiver.process.out()


def test_flags_and_hops_that_no_honest_peer_would_send(town, abuser):
    voice = Voice()
    with bystander(town, "Message: false flags and hops") as b:
        data = b"".join(voice.say("flags", flags=i % 4, hops=(i * 37) % 256) for i in range(4000))
        pour_and_settle(abuser, data)
        b.inputs += 4000
        wait_until(lambda: town.receiver.process.out().count(voice.origin.encode()) >= 4000, 20)


def test_the_largest_messages(build):
    """More than the store holds; it keeps to its limit."""
    town = build(gossip__store_bytes="8M")
    link, voice = Neighbor(town.victim.address), Voice()
    with bystander(town, "Message: the largest") as b:
        for _ in range(20):
            assert link.pour(voice.say("m" * MIB), 60)
            b.inputs += 1
        link.ping(60)
        status = town.status(town.victim)
        assert status["store_bytes"] <= 8 * MIB
    link.leave()


def test_recorded_messages_are_played_again(town, abuser):
    """What was heard of the honest run, ten times more: nobody sees it twice."""
    ear = Neighbor(town.victim.address, deaf=True)
    ear.send("Graft", runs=[], all=True)
    ear.ask("Liveliness", T, nonce=1)
    before = town.status(town.victim)["duplicates"]
    with bystander(town, "replay: recorded Messages") as b:
        recorded = []
        while len(recorded) < 20:
            got = ear.recv(T)
            if got.type == "Message":
                recorded.append(got)
        data = b"".join(frame(got.body, flags, hops) for got in recorded
                        for flags, hops in ((0, 0), (1, 3), (2, 1)))
        pour_and_settle(abuser, data * 10)
        b.inputs += 600
        time.sleep(0.1)  # for a copy that should not come
    assert town.status(town.victim)["duplicates"] - before >= 600
    ear.leave()


def test_a_recorded_session_is_played_again(town):
    """The very bytes an honest peer once sent, while it is linked and when it has left."""
    voice = Voice()
    honest = Neighbor(town.victim.address)
    session = request_frame(honest.address, honest.born) + \
        b"".join(voice.say(f"once {i}") for i in range(20)) + liveliness(5) + \
        frame(message("Bye", reason="shutdown"))
    with bystander(town, "replay: a recorded session") as b:
        honest.send_bytes(b"".join(Voice(voice.origin, voice.born).say(f"once {i}", seq=i + 1)
                                   for i in range(20)))
        honest.ping()
        for _ in range(20):
            replay(town, session)
            b.inputs += 1
        honest.leave()
        for _ in range(20):
            replay(town, session)
            b.inputs += 1
        wait_until(lambda: b"once 19" in town.receiver.process.out(), 10)
        time.sleep(0.1)  # for a second copy that should not come
    printed = town.receiver.process.out()
    assert all(printed.count(b'"data":"once %d"' % i) == 1 for i in range(20))


def replay(town, session):
    with socket.create_connection(client.split_address(town.victim.address), T) as sock:
        sock.sendall(session)
        sock.settimeout(T)
        try:
            while sock.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass


# --- everything else a neighbor may say --------------------------------------


def test_100000_questions_whether_the_victim_lives(town, abuser):
    with bystander(town, "Liveliness: a flood") as b:
        pour_and_settle(abuser, liveliness(9) * 100000)
        b.inputs += 100000


def test_answers_to_questions_that_were_never_asked(town, abuser):
    replies = [message("Liveliness Reply", nonce=i, address="127.0.0.1:9", incarnation=1,
                       neighbors=4) for i in range(100)]
    data = b"".join(map(frame, replies))
    with bystander(town, "Liveliness Reply: never asked") as b:
        pour_and_settle(abuser, data * 200)
        b.inputs += 20000


def test_lists_that_were_never_asked_for_are_not_dialed(town, abuser):
    traps = [socket.create_server(("127.0.0.1", 0)) for _ in range(50)]
    peers = ["127.0.0.1:%d" % trap.getsockname()[1] for trap in traps] * 20
    with bystander(town, "Peer List: never asked") as b:
        pour_and_settle(abuser, frame(message("Peer List", count=1000, peers=peers)) * 300)
        b.inputs += 300
        time.sleep(0.3)  # for a dial that should not come
    for trap in traps:
        trap.setblocking(False)
        with pytest.raises(BlockingIOError):
            trap.accept()
        trap.close()


@pytest.mark.parametrize("kind", ["Register", "Peer Request", "Peer Reply", "Death",
                                  "Death Reply", "Get Peer List"])
def test_messages_that_make_no_sense_on_a_link(town, abuser, kind):
    sample = next(s for s in mutations.SAMPLES if s["type"] == kind)
    with bystander(town, f"out of place: {kind}") as b:
        pour_and_settle(abuser, frame(sample) * 5000)
        b.inputs += 5000


def test_what_comes_behind_a_bye_is_not_answered(town):
    with bystander(town, "a Bye, and then more") as b:
        for _ in range(50):
            link = Neighbor(town.victim.address, deaf=True)
            link.send_bytes(frame(message("Bye", reason="busy")) + liveliness(77) * 100)
            link.finish()
            got = []
            try:
                while True:
                    got.append(link.recv(T).type)
            except client.Ended:
                pass
            assert "Liveliness Reply" not in got
            link.close()
            b.inputs += 101


def test_links_that_come_and_go(town):
    with bystander(town, "links that come and go") as b:
        for i in range(300 * MUCH):
            link = Neighbor(town.victim.address, deaf=True)
            if i % 3 == 0:
                link.send_bytes(Voice().say("and gone"))
            link.reset() if i % 2 else link.close()
            b.inputs += 1


@pytest.mark.parametrize("what", ["self", "duplicate", "urgent", "older", "busy"])
def test_requests_to_be_a_neighbor_that_are_not_granted(build, what):
    town = build(overlay__tie="10ms")
    who, born = client.identity(town.victim.address, T)
    held = []
    if what == "self":
        def ask():
            return request_frame(who, born)
    elif what in ("duplicate", "older"):
        link = Neighbor(town.victim.address)
        held.append(link)
        wait_until(passed(0.05), 1)  # it is not young any more

        def ask():
            return request_frame(link.address, link.born - (what == "older"))
    else:
        held += [Neighbor(town.victim.address) for _ in range(8 + (what == "urgent"))]

        def ask():
            return request_frame(urgent=what == "urgent", neighbors=0)
    # Of equally useless links an urgent one may get the bystander's.
    role = "visitor" if what == "urgent" else "neighbor"
    with bystander(town, f"Peer Request: {what}", role=role) as b:
        if what in ("urgent", "busy"):  # the bystander made it eleven
            held.append(Neighbor(town.victim.address))
        refused = 0
        for _ in range(200):
            conn = client.Conn(town.victim.address, timeout=T)
            conn.send_bytes(ask())
            if conn.recv(T)["verdict"] == "accepted":
                held.append(conn)  # it keeps its place
            else:
                refused += 1
                conn.close()
            b.inputs += 1
        assert refused >= 200 - (what == "urgent")
    for conn in held:
        conn.close()


def test_requests_in_the_name_of_an_honest_neighbor_do_not_take_its_place(build):
    """Its identity, an older run of it, and a newer one, which the victim dials to see."""
    town = build(overlay__tie="10ms")
    who, born = client.identity(town.receiver.address, T)
    with bystander(town, "Peer Request: in a neighbor's name") as b:
        for i in range(60):
            with client.Conn(town.victim.address, timeout=T) as conn:
                conn.send_bytes(request_frame(who, born + i % 3 - 1, urgent=bool(i % 2)))
                assert conn.recv(T)["verdict"] in ("duplicate", "busy")
            b.inputs += 1
        assert who in town.victim.neighbors()


# --- neighbors that do not take, or do not go on -----------------------------


def test_a_neighbor_that_never_reads_holds_up_nobody(build):
    """It wants everything; 40 MB go through the victim to the others."""
    town = build(gossip__slow=ms(2000))
    deaf = [Neighbor(town.victim.address, deaf=True, buffer=4096) for _ in range(4)]
    for link in deaf:
        link.send("Graft", runs=[], all=True)
    source, voice = Neighbor(town.victim.address), Voice()
    before = resident(town.victim.pid)
    most = 0
    with bystander(town, "a neighbor that never reads") as b:
        for _ in range(160 * MUCH):
            assert source.pour(b"".join(voice.say("d" * 16000) for _ in range(16)), 60)
            b.inputs += 16
            most = max(most, resident(town.victim.pid) - before)
        source.ping(60)
        gone = {link.address for link in deaf}
        wait_until(lambda: not gone & town.victim.neighbors(), 15, "they are ended as too slow")
    assert most < 64 * MIB + 4 * 8 * MIB or SLOW > 1
    for link in deaf:
        link.close()
    source.leave()


def test_a_frame_that_does_not_go_on_ends_the_link(build):
    """A frame once begun has to go on at slow_bytes in the slow time."""
    town = build(gossip__slow=ms(800), gossip__slow_bytes="4K")
    with bystander(town, "a frame that does not go on") as b:
        links = [Neighbor(town.victim.address) for _ in range(3)]
        big = Voice().say("x" * 100000)
        links[0].send_bytes(big[:5])
        links[1].send_bytes(big[:50000])
        links[2].send_bytes(big[:5000])
        b.inputs += 3

        def dribble():
            try:
                links[2].send_bytes(b"x")
            except client.Ended:
                pass
            return all(link.over for link in links)
        wait_until(dribble, 8, "they are all ended")
        assert town.rejected(town.victim)["stalled"] >= 3
    for link in links:
        link.close()


def test_a_frame_that_goes_on_slowly_but_steadily_is_taken(build):
    town = build(gossip__slow=ms(500), gossip__slow_bytes="1K")
    link = Neighbor(town.victim.address)
    big = Voice().say("x" * 30000)
    with bystander(town, "a frame that takes long") as b:
        for at in range(0, len(big), 1000):
            link.send_bytes(big[at:at + 1000])
            time.sleep(0.05)
        b.inputs += 1
        link.ping()
    link.leave()
