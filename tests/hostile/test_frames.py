"""Frames that nobody should send: to a seed, to a peer as a stranger, to a peer as its
neighbor. What breaks a rule ends its own connection and is counted; what does not is answered
as ever."""

import random

import frames
import mutations
import pytest
from attacker import (BOUND, LINKS_AT_ONCE, T, Neighbor, Voice, liveliness, request_frame,
                      volley)
from net import FULL, SLOW, wait_until
from town import bystander

import client
from client import Conn, frame

STRANGER_MAX = 512
QUICK_SHARE = 6  # one of so many mutants in a quick run
SEED = "seed"
DOOR = "a peer's door"
LINK = "a link"
PLACES = pytest.mark.parametrize("place", [SEED, DOOR, LINK])

# What may be asked of whom without being its neighbor.
ANSWERED = {SEED: {"Register", "Get Peer List", "Death", "Liveliness"},
            DOOR: {"Get Peer List", "Liveliness", "Peer Request"}}


def sample(mutants, rng):
    return mutants if FULL else rng.sample(mutants, len(mutants) // QUICK_SHARE)


def daemon_of(town, place):
    return town.seed if place == SEED else town.victim


def total(town, daemon):
    return sum(town.rejected(daemon).values())


def all_refused(town, place, payloads, names):
    """Each ends its connection within the bound, gets no answer, and is counted."""
    daemon = daemon_of(town, place)
    before = total(town, daemon)
    expected, at_once = 0, 48
    if place == LINK:
        payloads = [request_frame() + data for data in payloads]
        expected, at_once = 1, LINKS_AT_ONCE  # the Peer Reply
    sent = volley(daemon.address, payloads, at_once=at_once)
    kept = [name for name, one in zip(names, sent) if not one.ended]
    assert not kept, f"not ended: {kept[:10]} and more ({len(kept)})"
    if place == LINK:
        assert all(b'"accepted"' in one.bodies()[0] for one in sent if not one.reset)
    answered = [(name, one.bodies()) for name, one in zip(names, sent)
                if len([b for b in one.bodies() if b'"Graft"' not in b and b'"Have"' not in b])
                > expected]
    assert not answered, answered[:10]
    wait_until(lambda: total(town, daemon) >= before + len(sent), 5, "each is counted")


def all_answered(town, place, payloads, names):
    """Each gets one answer at least."""
    daemon = daemon_of(town, place)
    sent = volley(daemon.address, payloads, finish=True, bound=10,
                  at_once=LINKS_AT_ONCE if place == DOOR else 48)
    silent = [name for name, one in zip(names, sent) if not one.bodies()]
    assert not silent, f"not answered: {silent[:10]} and more ({len(silent)})"


def all_kept(town, payloads, names):
    """The link stays."""
    link = Neighbor(town.victim.address)
    for name, data in zip(names, payloads):
        link.send_bytes(data)
        try:
            link.ping()
        except (AssertionError, client.Ended) as why:
            raise AssertionError(f"after {name}: {why}") from why
    link.leave()


def judge_mutants(town, place, mutants):
    """Sends them all, and expects what the document says."""
    def is_good(m):
        return m.fits and (place == LINK or len(m.body) <= STRANGER_MAX
                           and m.kind in ANSWERED[place])
    good = [m for m in mutants if is_good(m) and not (place == LINK and m.kind == "Bye")]
    bad = [m for m in mutants if not is_good(m)]
    all_refused(town, place, [frame(m.body) for m in bad], [m.name for m in bad])
    payloads, names = [frame(m.body) for m in good], [m.name for m in good]
    if place == LINK:
        all_kept(town, payloads, names)
    else:
        all_answered(town, place, payloads, names)
    return len(bad) + len(good)


@PLACES
@pytest.mark.parametrize("how", ["deletions", "swaps", "boundaries"])
def test_a_message_with_one_field_wrong_is_refused_and_any_other_is_taken(town, place, how):
    mutants = getattr(mutations, how)()
    if how != "deletions":
        mutants = sample(mutants, random.Random(f"{how} {place}"))
    with bystander(town, f"one field wrong: {how}", daemon_of(town, place)) as b:
        b.inputs += judge_mutants(town, place, mutants)


@PLACES
def test_bits_of_the_header_are_flipped(town, place):
    """Half-closed behind it, so that a body that never comes ends the connection, too."""
    daemon = daemon_of(town, place)
    flips = sample(mutations.header_flips(), random.Random(place))
    with bystander(town, "header: one bit flipped", daemon) as b:
        before = total(town, daemon)
        first = request_frame if place == LINK else lambda: b""
        sent = volley(daemon.address, [first() + data for _, _, data, _ in flips], finish=True,
                      at_once=LINKS_AT_ONCE if place == LINK else 48)
        b.inputs += len(sent)
        assert all(one.ended for one in sent)
        if place != LINK:
            assert not any(one.bodies() for one in sent)
        broken = sum(not fine for _, _, _, fine in flips)
        if place != LINK:
            wait_until(lambda: total(town, daemon) >= before + broken, 5, "each is counted")


@PLACES
def test_bytes_are_changed_at_random(town, place):
    """Nobody can say what each of them is; the connection ends or goes on."""
    daemon = daemon_of(town, place)
    rng = random.Random(place)
    mutants = mutations.random_bytes(rng, 6000 if FULL else 600)
    with bystander(town, "some bytes changed", daemon) as b:
        first = request_frame if place == LINK else lambda: b""
        sent = volley(daemon.address, [first() + data for _, data in mutants], finish=True,
                      bound=10, at_once=LINKS_AT_ONCE if place == LINK else 48)
        b.inputs += len(sent)
        assert all(one.ended for one in sent)


@PLACES
@pytest.mark.parametrize("group", frames.GROUPS)
def test_a_breach_ends_its_own_connection(town, place, group):
    breaches = frames.GROUPS[group]
    with bystander(town, group, daemon_of(town, place)) as b:
        all_refused(town, place, list(breaches.values()), list(breaches))
        b.inputs += len(breaches)


@PLACES
def test_a_breach_behind_good_requests_ends_the_connection_too(town, place):
    """What was asked before may be answered, the rest is not."""
    daemon = daemon_of(town, place)
    first = liveliness() if place != LINK else request_frame() + liveliness()
    breaches = frames.BREACHES
    with bystander(town, "a breach behind good requests", daemon) as b:
        sent = volley(daemon.address, [(request_frame() if place == LINK else b"") + liveliness()
                                       + data + liveliness(2) for data in breaches.values()],
                      at_once=LINKS_AT_ONCE if place == LINK else 48)
        b.inputs += len(sent)
        assert first
        kept = [name for name, one in zip(breaches, sent)
                if not one.ended or any(b'"nonce":2' in body for body in one.bodies())]
        assert not kept


@PLACES
def test_what_is_only_strange_does_no_harm(town, place):
    strange = {name: data for name, data in frames.STRANGE.items()
               if place == LINK or len(data) <= STRANGER_MAX}
    with bystander(town, "strange, but allowed", daemon_of(town, place)) as b:
        first = request_frame if place == LINK else lambda: b""
        sent = volley(daemon_of(town, place).address,
                      [first() + data + liveliness(99) for data in strange.values()],
                      finish=True, at_once=LINKS_AT_ONCE)
        b.inputs += len(sent)
        lost = [name for name, one in zip(strange, sent)
                if not any(b'"nonce":99' in body for body in one.bodies())]
        assert not lost


def test_an_unknown_type_is_counted_and_never_forwarded(town):
    """The receiver's neighbor count and what it says are not changed by it; one frame of the
    ancestor's made three peers send 24,000 a second."""
    with bystander(town, "an unknown type") as b:
        ear = Neighbor(town.victim.address)
        ear.send("Graft", runs=[], all=True)
        mouth = Neighbor(town.victim.address)
        before = town.rejected(town.victim)["unknown"]
        unknown = [frame({"type": f"Gossip {i}", "x": [[{}]]}, flags=2 * (i % 2), hops=i % 256)
                   for i in range(500)]
        mouth.send_bytes(b"".join(unknown))
        mouth.ping()
        b.inputs += len(unknown)
        wait_until(lambda: town.rejected(town.victim)["unknown"] == before + len(unknown), 3)
        mouth.send_bytes(Voice().say("the end"))
        wait_until(lambda: ear.heard.get("Message"), 5)
        assert set(ear.heard) <= set(client.FIELDS)
        ear.leave()
        mouth.leave()


# --- framing -----------------------------------------------------------------


def answers_of(daemon, pieces, n, timeout=T):
    """The bodies of n answers on one connection to which these pieces were written."""
    with Conn(daemon.address, timeout=timeout) as conn:
        for piece in pieces:
            conn.send_bytes(piece)
        return [conn.recv(timeout).body for _ in range(n)]


@pytest.mark.parametrize("place", [SEED, DOOR])
def test_a_request_split_anywhere_is_answered_as_if_it_were_whole(town, place):
    daemon = daemon_of(town, place)
    with bystander(town, "a frame in two pieces", daemon) as b:
        for kind, data in mutations.frames():
            if kind not in ANSWERED[place] - {"Peer Request"}:
                continue
            if kind == "Register":  # a dial-back each time: not the matter here
                data = liveliness()
            whole, = answers_of(daemon, [data], 1)
            with Conn(daemon.address, timeout=T) as conn:
                for at in range(1, len(data)):
                    conn.send_bytes(data[:at])
                    b.inputs += 1
                    if at % 16 == 1:  # then it surely arrives in two
                        with Conn(daemon.address, timeout=T) as other:
                            other.ask("Liveliness", nonce=1)
                    conn.send_bytes(data[at:])
                    assert conn.recv(T).body == whole, (kind, at)


def test_what_a_neighbor_says_split_anywhere_is_understood(town):
    """All types, all split points; the Messages arrive as if they had come whole."""
    with bystander(town, "a frame in two pieces") as b:
        ear, link = Neighbor(town.victim.address, deaf=True), Neighbor(town.victim.address)
        ear.send("Graft", runs=[], all=True)
        ear.ask("Liveliness", T, nonce=1)
        voice, said = Voice(), []
        for kind, data in mutations.frames():
            if kind == "Bye":
                continue
            points = range(1, len(data)) if FULL else range(1, len(data), 3)
            for at in points:
                if kind == "Message":
                    data = voice.say(f"split at {at:3}")
                    said.append(data[8:])
                link.send_bytes(data[:at])
                if at % 16 == 1:
                    client.request(town.seed.address, "Liveliness", T, nonce=1)
                link.send_bytes(data[min(at, len(data)):])
                b.inputs += 1
            link.ping()
        heard = []
        while len(heard) < len(said):
            got = ear.recv(T)
            if got.type == "Message" and got["origin"] == voice.origin:
                heard.append(got.body)
        assert heard == said
        ear.leave()
        link.leave()


@PLACES
def test_a_thousand_frames_in_one_write_are_answered_in_order(town, place):
    daemon = daemon_of(town, place)
    with bystander(town, "1,000 frames in one write", daemon) as b:
        data = b"".join(liveliness(n) for n in range(1000))
        with Conn(daemon.address, timeout=T) as conn:
            conn.send_bytes((request_frame() if place == LINK else b"") + data)
            got = []
            while len(got) < 1000:
                reply = conn.recv(T)
                if reply.type == "Liveliness Reply":
                    got.append(reply["nonce"])
        b.inputs += 1000
        assert got == list(range(1000))


def test_a_thousand_messages_in_one_write_are_all_spread_once(town):
    with bystander(town, "1,000 frames in one write") as b:
        link, voice = Neighbor(town.victim.address), Voice()
        link.send_bytes(b"".join(voice.say(f"bulk {n}") for n in range(1000)))
        link.ping()
        b.inputs += 1000
        printed = town.receiver.process.out_path
        wait_until(lambda: printed.read_bytes().count(b'"data":"bulk ') >= 1000, 15)
        assert printed.read_bytes().count(b'"data":"bulk ') == 1000
        link.leave()


@pytest.mark.parametrize("place", [SEED, DOOR])
def test_a_stranger_cannot_make_a_daemon_hold_more_than_512_bytes(town, place):
    daemon = daemon_of(town, place)

    def padded(n):
        body = frames.GOOD + b" " * (n - len(frames.GOOD))
        return frame(body)
    with bystander(town, "one byte more than a stranger may", daemon) as b:
        assert answers_of(daemon, [padded(512)], 1)
        for n in (513, 514, 1024, 65536, client.BODY_MAX):
            sent, = volley(daemon.address, [padded(n)[:8]])
            assert sent.ended and not sent.answer
            b.inputs += 1


@pytest.mark.parametrize("name", ["v4", "v6"])
def test_bad_input_ends_its_own_connection_on_both_families(net, name):
    """All of it once more, on IPv6 too, without any of the helpers above."""
    if name == "v6":
        from net import has_ipv6
        if not has_ipv6():
            pytest.skip("no IPv6 here")
        net.host = "::1"
    seed, = net.start_seeds(1)
    peer = net.peer(wait=True)
    for daemon in seed, peer:
        before = sum(daemon.status()["rejected"].values())
        kept = [n for n, one in zip(frames.BREACHES,
                                    volley(daemon.address, frames.BREACHES.values()))
                if not one.ended]
        assert not kept
        assert sum(daemon.status()["rejected"].values()) >= before + len(frames.BREACHES)
        assert client.request(daemon.address, "Liveliness", BOUND * SLOW, nonce=5)["nonce"] == 5
