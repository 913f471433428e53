"""One host against a daemon: off loopback it gets so many places and entries and no more. It
needs an address of this machine that is not loopback."""

import contextlib
import socket

import pytest
from attacker import T, Neighbor, liveliness, volley
from net import SLOW, wait_until
from town import bystander

import client
from client import Conn

PLACES, ENTRIES = 8, 3


def own_address():
    """The address this machine would be known by; nothing is sent for that."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
            address = s.getsockname()[0]
        except OSError:
            return None
    return None if address.startswith("127.") else address


@pytest.fixture
def exposed(net, build):
    """A town on an address that is not loopback."""
    net.host = own_address()
    if net.host is None:
        pytest.skip("this machine has no address but loopback")
    return build(security__insecure="yes", overlay__max_per_host=15,
                 peer__max_per_source=PLACES, seed__max_per_source=PLACES,
                 seed__max_per_host=ENTRIES)


def still_open(conns):
    count = 0
    for conn in conns:
        conn.sock.setblocking(False)
        try:
            count += conn.sock.recv(100) != b""
        except BlockingIOError:
            count += 1
        except OSError:
            pass
    return count


@pytest.mark.parametrize("which", ["seed", "peer"])
def test_one_host_gets_so_many_places(exposed, which):
    """Its silent connections are in each other's way only; its links stay."""
    daemon = exposed.seed if which == "seed" else exposed.victim
    def turned_away():
        return exposed.rejected(daemon)["source"] + exposed.rejected(daemon)["evicted"]

    def answered():
        with contextlib.suppress(client.Ended):
            return client.request(daemon.address, "Liveliness", 2 * SLOW, nonce=1)
    before = turned_away()
    with bystander(exposed, "one host: too many connections", daemon,
                   role="neighbor" if which == "peer" else "visitor") as b:
        conns = [Conn(daemon.address, timeout=T) for _ in range(5 * PLACES)]
        b.inputs += len(conns)
        wait_until(lambda: still_open(conns) <= PLACES, 5)
        wait_until(lambda: turned_away() >= before + 4 * PLACES, 5)
        # They had their time: one of them makes way.
        wait_until(answered, 2, "somebody who speaks is let in")
    for conn in conns:
        conn.close()


def test_one_host_that_has_only_links_is_refused(exposed):
    links = [Neighbor(exposed.victim.address) for _ in range(PLACES - 3)]
    with bystander(exposed, "one host: too many links") as b:
        sent = volley(exposed.victim.address, [liveliness()] * 20)
        b.inputs += len(sent)
        assert all(one.ended and not one.answer for one in sent)
        assert exposed.rejected(exposed.victim)["source"] >= 20
        for link in links:
            link.ping()
    for link in links:
        link.leave()


def test_one_host_gets_so_many_entries_in_a_list(exposed, net):
    with bystander(exposed, "one host: too many entries", exposed.seed, role="caller") as b:
        fakes = [net.fake() for _ in range(3 * ENTRIES)]
        answers = [fake.register(exposed.seed.address, timeout=T) for fake in fakes]
        b.inputs += len(fakes)
    assert sum(a["reachable"] for a in answers) == ENTRIES - 1  # the victim is there, too
    assert exposed.rejected(exposed.seed)["full"] == 2 * ENTRIES + 1
    assert exposed.victim.address in client.peer_list(exposed.seed.address, timeout=T)
