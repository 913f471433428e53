"""docs/protocol.md says the truth: its examples are what an independent client
writes, and what the daemons take and write."""

import re
from pathlib import Path

import client
import pytest
from client import FIELDS, Conn, encode, frame, message, message_id
from net import SLOW, wait_until

DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"
BLOCK = re.compile(r"^```example (?P<name>.+?) flags=(?P<flags>\d+) hops=(?P<hops>\d+)"
                   r"(?: id=(?P<id>[0-9a-f]{32}))?\n(?P<head>[0-9a-f ]+)\n(?P<body>.*)\n```$", re.M)


class Example:
    def __init__(self, found):
        self.name = found["name"]
        self.flags, self.hops = int(found["flags"]), int(found["hops"])
        self.id = found["id"]
        self.head = bytes.fromhex(found["head"])
        self.body = found["body"].encode()
        self.fields = client.decode(self.body)
        self.bytes = self.head + self.body


TEXT = DOCUMENT.read_text()
EXAMPLES = [Example(found) for found in BLOCK.finditer(TEXT)]
NAMES = [f"{e.name}-{i}" for i, e in enumerate(EXAMPLES)]


def first(name, **has):
    """The first example of a type with these field values."""
    for e in EXAMPLES:
        if e.name == name and all(e.fields.get(k) == v for k, v in has.items()):
            return e
    raise AssertionError(f"the document has no example {name} {has}")


def adapted(example, **fields):
    """The example with other values in some fields, in the same order."""
    assert set(fields) <= set(example.fields)
    return encode({**example.fields, **fields})


# --- the document and the client ---------------------------------------------


def test_every_type_has_an_example():
    assert TEXT.count("```example") == len(EXAMPLES)
    assert {e.name for e in EXAMPLES} == set(FIELDS)


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_an_example_is_what_the_client_writes(example):
    fields = dict(example.fields)
    kind = fields.pop("type")
    assert kind == example.name
    body = encode(message(kind, **fields))
    assert body == example.body
    assert frame(body, example.flags, example.hops) == example.bytes
    assert (kind == "Message") == (example.id is not None)
    if example.id:
        assert message_id(body) == example.id


def test_the_client_understands_itself(net, host):
    a, b = net.fake(), net.fake()
    link = b.link(a.address)
    assert link.ping()["incarnation"] == a.incarnation
    there = a.requested()
    for e in EXAMPLES:
        there.send_bytes(e.bytes)
    for e in EXAMPLES:
        got = link.wait(e.name)
        assert (got.body, got.flags, got.hops) == (e.body, e.flags, e.hops)
    assert client.is_canonical(encode(a.next_message("tab\t, \x1b, \x7f, \u20ac")))
    b.stop()
    assert there.wait_end()


# --- the document and a seed -------------------------------------------------


def check_form(got, kind):
    """What a daemon wrote is written as the document says."""
    assert got.type == kind
    assert (got.flags, got.hops) == (0, 0)
    assert client.is_canonical(got.body), got.body
    return got


def ask(conn, body, kind):
    conn.send_bytes(frame(body))
    return check_form(conn.recv(5 * SLOW), kind)


def test_a_seed_takes_the_examples_and_answers_in_their_form(net, host):
    seed, = net.start_seeds(1)
    listed, fresh = net.fake(), net.fake()
    listed.register(seed.address)
    with Conn(seed.address, timeout=5 * SLOW) as conn:
        alone = ask(conn, adapted(first("Get Peer List")), "Peer List")
        assert list(alone.fields) == list(first("Peer List").fields)
        assert (alone["count"], alone["peers"]) == (1, [listed.address])

        answer = ask(conn, adapted(first("Register"), **fresh.who), "Peer List")
        assert list(answer.fields) == list(first("Peer List", reachable=True).fields)
        assert answer["reachable"] is True and answer["peers"] == [listed.address]

        renewal = first("Register", want=8)
        answer = ask(conn, adapted(renewal, lease=answer["lease"], **fresh.who), "Peer List")
        assert answer["lease"] != client.NO_LEASE

        reply = ask(conn, first("Liveliness").body, "Liveliness Reply")
        assert reply["nonce"] == first("Liveliness").fields["nonce"]
        assert reply["address"] == seed.address

        hint = first("Death", reason="refused")
        reply = ask(conn, adapted(hint, address=fresh.address), "Death Reply")
        assert reply["verdict"] in ("verifying", "alive")
        leaving = first("Death", reason="left")
        reply = ask(conn, adapted(leaving, lease=answer["lease"], **fresh.who), "Death Reply")
        assert reply["verdict"] == "removed"
        reply = ask(conn, leaving.body, "Death Reply")
        assert reply["verdict"] == "unknown"


def test_a_seed_takes_the_registration_of_the_document_as_it_stands(net):
    seed, = net.start_seeds(1)
    with Conn(seed.address, timeout=5 * SLOW) as conn:
        answer = ask(conn, first("Register").body, "Peer List")
    assert answer["reachable"] is False  # nobody listens there
    assert answer["lease"] == client.NO_LEASE


def test_missing_fields_with_a_default_are_fine(net):
    seed, = net.start_seeds(1)
    fake = net.fake()
    with Conn(seed.address, timeout=5 * SLOW) as conn:
        ask(conn, encode({"type": "Get Peer List"}), "Peer List")
        ask(conn, encode({"type": "Register", **fake.who}), "Peer List")
        death = {"type": "Death", "reason": "silent", **fake.who}
        ask(conn, encode(death), "Death Reply")
    peer = net.peer(wait=True)
    with Conn(peer.address, timeout=5 * SLOW) as conn:
        asks = {"type": "Peer Request", "neighbors": 0, **net.fake().who}
        assert ask(conn, encode(asks), "Peer Reply")["verdict"] == "accepted"


# --- the document and a peer -------------------------------------------------


def test_a_peer_takes_the_examples_of_a_stranger(net, host):
    net.start_seeds(1)
    peer = net.peer(wait=True)
    with Conn(peer.address, timeout=5 * SLOW) as conn:
        reply = ask(conn, first("Liveliness").body, "Liveliness Reply")
        assert (reply["nonce"], reply["address"]) == (2 ** 52, peer.address)
        # A seed may have told others by now, but nobody is there to be linked.
        assert ask(conn, first("Get Peer List").body, "Peer List")["peers"] == []
        fake = net.fake()
        asks = adapted(first("Peer Request"), **fake.who)
        reply = ask(conn, asks, "Peer Reply")
        assert list(reply.fields) == list(first("Peer Reply", verdict="busy").fields)
        assert reply["verdict"] == "accepted" and reply["address"] == peer.address


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.name in
                                     ("Message", "Have", "getData", "Not Found", "Graft", "Prune",
                                      "Liveliness", "Peer List", "Death Reply")],
                         ids=lambda e: e.name)
def test_a_neighbor_may_send_an_example(net, example):
    net.start_seeds(1)
    peer = net.peer(wait=True)
    link = net.fake().link(peer.address, 5 * SLOW)
    link.send_bytes(example.bytes)
    link.ping(5 * SLOW)  # what came before has been taken, and the link lives
    assert peer.running()


def test_a_peer_ends_the_link_after_the_bye_of_the_document(net):
    net.start_seeds(1)
    peer = net.peer(wait=True)
    link = net.fake().link(peer.address, 5 * SLOW)
    link.send_bytes(first("Bye").bytes)
    link.finish()
    assert link.wait_end(5 * SLOW)
    wait_until(lambda: not peer.neighbors(), 5)


def test_the_published_example_passes_through_a_peer_unchanged(net):
    net.start_seeds(1)
    peer = net.peer("--receive", wait=True)
    a, b = net.fake(), net.fake()
    source, sink = a.link(peer.address, 5 * SLOW), b.link(peer.address, 5 * SLOW)
    for e in EXAMPLES:
        if e.name == "Message":
            source.send_bytes(e.bytes)
            got = sink.wait("Message", 5 * SLOW)
            assert (got.body, got.id, got.hops) == (e.body, e.id, e.hops + 1)
    wait_until(lambda: len(peer.lines()) == 3, 5)
    assert b"\xff\x00\xfe" in peer.lines()


def test_what_a_peer_sends_by_itself_has_the_form_of_the_document(net, host):
    seed, = net.start_seeds(1)
    fake = net.fake()
    fake.register(seed.address)
    peer = net.peer("--send", "--receive", stdin=-1, wait=True)
    link = fake.requested(10 * SLOW)
    asks = check_form(link.seen("Peer Request")[0], "Peer Request")
    assert asks["address"] == peer.address

    for seq, line in enumerate(["plain", "quotes \" and \\ and \t tab", "\u00fc\u4f60\U0001f600"], 1):
        peer.say(line + "\n")
        got = link.wait("Message", 5 * SLOW)
        assert client.is_canonical(got.body), got.body
        assert (got["origin"], got["seq"], got["data"]) == (peer.address, seq, line)
        assert got["incarnation"] == asks["incarnation"]
        assert got.hops == 0 and not got.flags & client.RECOVERY
    peer.say(b"\xff\x00\xfe\n")
    got = link.wait("Message", 5 * SLOW)
    assert client.is_canonical(got.body) and got["encoding"] == "base64"
    assert got["data"] == "/wD+"

    link.send("getData", id="f" * 32)
    assert check_form(link.wait("Not Found", 5 * SLOW), "Not Found")["id"] == "f" * 32
    link.send("Get Peer List", want=5)
    got = check_form(link.wait("Peer List", 5 * SLOW), "Peer List")
    assert (got["count"], got["peers"]) == (1, [])  # the asker itself is left out
    check_form(link.ping(5 * SLOW), "Liveliness Reply")

    assert peer.ends() == 0
    bye = check_form(link.wait("Bye", 5 * SLOW), "Bye")
    assert bye["reason"] == "shutdown"
