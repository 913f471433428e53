"""A seed's list under attack: forged Deaths, Sybils, addresses nobody can verify, floods. And
a peer at the mercy of a seed that lies."""

import random
import socket
import threading
import time

import pytest
from attacker import T, FakeSeed, Neighbor, incarnation
from net import FULL, SLOW, free_port, has_ipv6, ms, passed, wait_until
from town import bystander, resident

import client
from client import Conn, frame, message

MIB = 1 << 20
NOWHERE = "127.0.0.1:1"


def ask_all(daemon, frames, connections=8):
    """Sends requests on a few connections at once and returns the answers' bodies."""
    answers = []

    def run(part):
        with Conn(daemon.address, timeout=60 * SLOW) as conn:
            for at in range(0, len(part), 50):
                conn.send_bytes(b"".join(part[at:at + 50]))
                for _ in part[at:at + 50]:
                    answers.append(conn.recv().fields)
    threads = [threading.Thread(target=run, args=(frames[i::connections],))
               for i in range(connections)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(answers) == len(frames)
    return answers


def register(address, born=1, **more):
    return frame(message("Register", address=address, incarnation=born, **more))


def listed(seed):
    """All addresses that are handed out, asked until none is being verified."""
    def all_there():
        answer = client.request(seed.address, "Get Peer List", T, want=1000)
        return set(answer["peers"]) if answer["count"] == len(answer["peers"]) else None
    return wait_until(all_there, 20, "nobody is being verified")


# --- Death -------------------------------------------------------------------


@pytest.fixture
def crowd(net, build):
    """A town, and 50 peers that live and are listed."""
    town = build()
    peers = [net.fake() for _ in range(50)]
    for p in peers:
        p.register(town.seed.address)
    return town, peers


def test_10000_forged_deaths_remove_nobody(crowd):
    """Of every reason, with every lie about lease, incarnation and reporter."""
    town, peers = crowd
    rng = random.Random(1)

    def forged(i):
        p = peers[i % len(peers)]
        fields = {"address": p.address, "incarnation": rng.choice((0, p.incarnation)),
                  "reason": rng.choice(("left", "silent", "reset", "refused")),
                  "reporter": rng.choice((None, p.address, "8.8.8.8:1"))}
        if rng.random() < 0.5:
            fields["lease"] = rng.choice(("0" * 32, "f" * 32, f"{rng.getrandbits(128):032x}"))
        return frame(message("Death", **fields))
    n = 10000 if FULL or SLOW == 1 else 3000
    with bystander(town, "Death: forged", town.seed) as b:
        verdicts = {a["verdict"] for a in ask_all(town.seed, [forged(i) for i in range(n)])}
        b.inputs += n
    assert "removed" not in verdicts
    assert {p.address for p in peers} | {town.victim.address} == listed(town.seed)


def test_an_old_lease_does_not_remove_the_next_run(build, net):
    """A recorded Death of a run that left, played again for its successor."""
    town = build()
    with bystander(town, "replay: a Death with its lease", town.seed) as b:
        for _ in range(20 if FULL else 5):
            old = net.fake()
            old.register(town.seed.address)
            died = message("Death", **old.who, reason="left", lease=old.leases[town.seed.address])
            assert client.request(town.seed.address, **ask(died))["verdict"] == "removed"
            old.stop()
            new = net.fake(port=old.port, incarnation=old.incarnation + 1)
            new.register(town.seed.address)
            stale = [dict(died), dict(died, incarnation=new.incarnation),
                     dict(died, incarnation=0)]
            for fields in stale:
                answer = client.request(town.seed.address, **ask(fields))
                assert answer["verdict"] != "removed"
                b.inputs += 1
            assert new.address in listed(town.seed)
            new.stop()


def ask(fields):
    """The arguments of client.request for a message."""
    fields = dict(fields)
    return {"kind": fields.pop("type"), **fields}


def test_deaths_of_peers_that_never_were(town):
    rng = random.Random(2)
    frames = [frame(message("Death", address=f"{rng.randrange(1, 223)}.2.3.4:{i + 1}",
                            incarnation=rng.randrange(1 << 53), reason="silent"))
              for i in range(5000)]
    with bystander(town, "Death: of nobody", town.seed) as b:
        verdicts = {a["verdict"] for a in ask_all(town.seed, frames)}
        b.inputs += len(frames)
    assert verdicts == {"unknown"}


def test_deaths_of_peers_that_hang_do_not_delay_those_of_others(net, build):
    """More checks than a seed makes at a time, each as long as it allows."""
    town = build(seed__max_verify=4, seed__verify_queue=16, seed__verify_reply=ms(1000))
    hung = [net.fake() for _ in range(30)]
    for p in hung:
        p.register(town.seed.address)
        p.mute = True
    with bystander(town, "Death: of peers that hang", town.seed) as b:
        frames = [frame(message("Death", **p.who, reason="silent")) for p in hung] * 20
        verdicts = [a["verdict"] for a in ask_all(town.seed, frames)]
        b.inputs += len(frames)
        assert set(verdicts) == {"verifying", "busy"}
    for p in hung:
        p.mute = False


# --- Register ----------------------------------------------------------------


class Trap:
    """A listener that answers a dial-back with somebody else's identity."""

    def __init__(self, net, **claims):
        self.fake = net.fake()
        self.address = self.fake.address
        claims = {**self.fake.who, **claims}

        def answer(link, got):
            if got.type == "Liveliness":
                link.send("Liveliness Reply", nonce=got["nonce"], neighbors=0, **claims)
        self.fake.answer = answer


def unverifiable(net, town):
    """{what: addresses} none of which may ever be listed."""
    quiet = net.fake()
    quiet.mute = True
    silent = socket.create_server(("127.0.0.1", 0))
    net.fakes.append(type("Closer", (), {"stop": silent.close}))
    return {
        "other hosts": ["8.8.8.8:1", "192.0.2.1:5000", "10.0.0.1:1", "255.255.255.255:1",
                        "224.0.0.1:9", "[2001:db8::1]:80", "[::1]:80", "127.0.0.2:5000"],
        "wildcards": ["0.0.0.0:5000", "[::]:5000", "0.0.0.0:1"],
        "the seed itself": [town.seed.address],
        "ports nobody listens on": [f"127.0.0.1:{free_port('127.0.0.1')}" for _ in range(50)],
        "low ports": [f"127.0.0.1:{n}" for n in range(1, 20)],
        "one that does not answer": [quiet.address, f"127.0.0.1:{silent.getsockname()[1]}"],
        "another run": [Trap(net, incarnation=99).address],
        "another address": [Trap(net, address=NOWHERE).address],
        "another daemon": [town.fake_seed.address],
        "somebody else's address": [town.victim.address, town.publisher.address],
    }


def test_an_address_that_cannot_be_verified_is_never_listed(build, net):
    town = build(seed__dial_back=ms(300))
    before = listed(town.seed)
    with bystander(town, "Register: unverifiable", town.seed) as b:
        for what, addresses in unverifiable(net, town).items():
            frames = [register(a, born, want=0) for a in addresses for born in (1, 1 << 52)]
            answers = ask_all(town.seed, frames)
            b.inputs += len(frames)
            assert not any(a["reachable"] for a in answers), what
            assert {a["lease"] for a in answers} == {client.NO_LEASE}, what
        hosts = ["localhost:80", "seed:80", "127.1:80", "0x7f000001:80", "127.0.0.1", "",
                 "127.0.0.1:99999", "[::1]", "2130706433:80", "a" * 300]
        for host in hosts:
            with Conn(town.seed.address, timeout=T) as conn:
                conn.send_bytes(frame({"type": "Register", "address": host, "incarnation": 1}))
                assert conn.ends(2 * SLOW)
            b.inputs += 1
    assert listed(town.seed) == before


@pytest.mark.parametrize("how", ["one address, many runs", "many addresses, one listener",
                                 "many listeners"])
def test_sybils_drive_nobody_out(build, net, how):
    """What answers is listed: the host is the limit, not the seed. The honest stay."""
    town = build()
    honest = listed(town.seed)
    with bystander(town, f"Sybils: {how}", town.seed) as b:
        if how == "one address, many runs":
            fake = net.fake()
            frames = [register(fake.address, born) for born in range(1, 500)]
            answers = ask_all(town.seed, frames, 4)
            assert sum(a["reachable"] for a in answers) == 0
        elif how == "many addresses, one listener":
            fake = net.fake()
            host, port = fake.address.split(":")
            frames = [register(f"127.0.0.{i}:{port}", fake.incarnation) for i in range(2, 250)]
            answers = ask_all(town.seed, frames, 4)
            assert sum(a["reachable"] for a in answers) == 0
        else:
            sybils = [net.fake() for _ in range(200 if FULL else 60)]
            frames = [register(s.address, s.incarnation) for s in sybils]
            answers = ask_all(town.seed, frames, 8)
            assert all(a["reachable"] for a in answers)
        b.inputs += len(frames)
    assert honest <= listed(town.seed)


def test_registrations_beyond_the_limit_of_the_list_are_refused(build, net):
    town = build(seed__max_peers=10)
    honest = listed(town.seed)
    with bystander(town, "Sybils: a full list", town.seed) as b:
        sybils = [net.fake() for _ in range(30)]
        answers = ask_all(town.seed, [register(s.address, s.incarnation) for s in sybils], 4)
        b.inputs += len(answers)
        assert sum(a["reachable"] for a in answers) <= 9
    assert honest <= listed(town.seed)
    assert town.rejected(town.seed)["full"] >= 21


def test_somebody_registers_all_that_are_listed_again_and_again(crowd):
    """That only renews them: no lease is told, nobody is dialed, nothing changes."""
    town, peers = crowd
    frames = [register(p.address, p.incarnation) for p in peers] * 100
    with bystander(town, "Register: others, again", town.seed) as b:
        answers = ask_all(town.seed, frames)
        b.inputs += len(frames)
    assert {a["lease"] for a in answers} == {client.NO_LEASE}
    assert {p.address for p in peers} <= listed(town.seed)


def test_dial_backs_that_hang_do_not_delay_others(build, net):
    """500 registrations at once of a peer that accepts and never answers."""
    town = build(seed__dial_back=ms(1500))
    hung = net.fake()
    hung.mute = True
    conns = []
    with bystander(town, "Register: dial-backs that hang", town.seed) as b:
        for born in range(1, 501 if FULL else 201):
            conn = Conn(town.seed.address, timeout=T)
            conn.send_bytes(register(hung.address, born))
            conns.append(conn)
            b.inputs += 1
        honest = net.fake()
        assert honest.register(town.seed.address, timeout=2 * SLOW)["reachable"]
        for conn in conns:
            assert conn.recv(T)["reachable"] is False
            conn.close()
    assert hung.address not in listed(town.seed)


# --- floods ------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Get Peer List", "Liveliness", "Register, foreign"])
def test_a_seed_is_flooded_with_requests(crowd, kind):
    town, _ = crowd
    one = {"Get Peer List": frame(message("Get Peer List", want=1000)),
           "Liveliness": frame(message("Liveliness", nonce=1)),
           "Register, foreign": register("8.8.8.8:1")}[kind]
    n = 50000 if FULL else 20000
    with bystander(town, f"seed flooded: {kind}", town.seed) as b:
        assert len(ask_all(town.seed, [one] * n, 4)) == n
        b.inputs += n


@pytest.mark.parametrize("kind", ["Get Peer List", "Liveliness"])
def test_a_peer_is_flooded_with_requests_of_strangers(town, kind):
    one = {"Get Peer List": frame(message("Get Peer List", want=1000)),
           "Liveliness": frame(message("Liveliness", nonce=1))}[kind]
    n = 50000 if FULL else 20000
    with bystander(town, f"peer flooded: {kind}") as b:
        assert len(ask_all(town.victim, [one] * n, 4)) == n
        b.inputs += n


# --- a seed that lies --------------------------------------------------------


class Target:
    """Counts the connections to many addresses on one listener: 127.x.y.z with one port."""

    def __init__(self):
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind(("0.0.0.0", 0))
        self.sock.listen(1024)
        self.port = self.sock.getsockname()[1]
        self.now = self.most = self.total = 0
        self.open = []
        self.lock = threading.Lock()
        self.over = False
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def addresses(self, n):
        return [f"127.{1 + i // 65536}.{i // 256 % 256}.{i % 256}:{self.port}"
                for i in range(256, 256 + n)]

    def _accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._hold, args=(sock,), daemon=True).start()

    def _hold(self, sock):
        with self.lock:
            self.total += 1
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            while sock.recv(4096):
                pass
        except OSError:
            pass
        with self.lock:
            self.now -= 1
        sock.close()

    def stop(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self.thread.join(5)


class LyingSeed(FakeSeed):
    """Another thousand of its addresses at each question."""

    def __init__(self, peers):
        self.at = 0
        super().__init__(peers)

    def listing(self, got):
        want = got.fields.get("want", 32)
        peers = [self.peers[(self.at + i) % len(self.peers)] for i in range(want)]
        self.at += want
        return {"count": 4096, "peers": peers}


@pytest.mark.parametrize("how", ["nobody listens", "nobody answers"])
def test_a_seed_that_names_4096_dead_addresses_costs_a_bounded_number_of_dials(build, net, how):
    """The peer trusts it: it dials, a few at a time, and tells what it found, once each."""
    town = build()
    target = Target()
    net.fakes.append(target)
    dead = target.addresses(4096)
    if how == "nobody listens":
        dead = [a.rsplit(":", 1)[0] + ":1" for a in dead]
    liar = LyingSeed(dead)
    net.fakes.append(liar)
    config = net.directory / "liar.ini"
    config.write_text(f"[seeds]\nliar = {liar.address}\nhonest = {town.seed.address}\n")
    settings = {"overlay.dial_timeout": ms(300), "overlay.repair": ms(200),
                "overlay.repair_max": ms(400), "seed.dial_back": "1s"}
    # A second victim, which believes both the liar and the honest seed.
    argv = [option for key, value in settings.items() for option in ("--set", f"{key}={value}")]
    with bystander(town, f"a lying seed: {how}") as b:
        start = time.monotonic()
        peer = net.peer("-c", str(config), *argv, wait=True)
        wait_until(lambda: town.victim.address in peer.neighbors(), 30,
                   "it finds an honest peer all the same")
        wait_until(passed(1.0), 3)
        took = time.monotonic() - start
        b.inputs += liar.at
        if how == "nobody answers":
            assert 0 < target.most <= 8, target.most
            assert target.total <= 8 * (took / (0.3 * SLOW) + 2)
        status = peer.status()
        assert status["threads"] <= 64 and status["fds"] <= 96
        # Each failed dial is a report to each seed, from a queue of 64.
        assert len(liar.deaths) <= liar.at
        assert len(liar.deaths) <= 64 * (took / (0.3 * SLOW) + 2)
        assert resident(peer.pid) < 64 * MIB or SLOW > 1
        peer.ends(seconds=4)


def test_a_seed_that_names_only_the_peer_itself_or_nonsense(build, net):
    town = build()
    settings = {"overlay.repair": ms(100), "overlay.repair_max": ms(200)}
    liar = LyingSeed([NOWHERE])
    net.fakes.append(liar)
    config = net.directory / "liar.ini"
    config.write_text(f"[seeds]\nliar = {liar.address}\n")
    argv = [option for key, value in settings.items() for option in ("--set", f"{key}={value}")]
    with bystander(town, "a lying seed: nonsense") as b:
        peer = net.peer("-c", str(config), *argv, wait=True)
        liar.peers = [peer.address, liar.address, town.seed.address, "0.0.0.0:1", "[::]:9",
                      "255.255.255.255:1"] + (["[::1]:1"] if has_ipv6() else [])
        seen = liar.at
        wait_until(lambda: liar.at >= seen + 100, 20, "it asked a few times more")
        b.inputs += liar.at
        client.request(peer.address, "Liveliness", T, nonce=1)
        assert peer.neighbors() == set()
        liar.peers = [town.victim.address]
        wait_until(lambda: peer.neighbors() == {town.victim.address}, 20)
        peer.ends(seconds=4)


def test_a_seed_that_breaks_the_protocol_is_passed_over(build, net):
    """What it answers is no answer; the honest seed is asked instead."""
    town = build()
    answers = [b"", b"\x00" * 64, b"HTTP/1.1 200 OK\r\n\r\n", frame(b"{}"), frame(b"[]"),
               frame(message("Peer List", count=1, peers=[])),
               frame({"type": "Peer List", "count": -1, "peers": []}),
               frame({"type": "Peer List", "count": 1, "peers": ["x"]}),
               frame(message("Bye", reason="slow")), frame({"type": "Gossip"}) * 1000,
               b"\x01\x00\x00\x00\xff\xff\xff\xff", b"\x01\x00\x00\x00\x00\x10\x00\x00{"]
    with bystander(town, "a lying seed: no protocol") as b:
        for i, data in enumerate(answers):
            liar = net.fake()
            liar.answer = lambda link, got, data=data: (link.send_bytes(data), link.finish())
            config = net.directory / f"liar{i}.ini"
            config.write_text(f"[seeds]\nliar = {liar.address}\nhonest = {town.seed.address}\n")
            peer = net.peer("-c", str(config), wait=True)
            wait_until(lambda p=peer: town.victim.address in p.neighbors(), 20)
            b.inputs += 1
            assert peer.ends(seconds=4) == 0
            liar.stop()


def test_who_redirects_a_newcomer_to_4096_dead_addresses_wins_two_dials_at_a_time(build, net):
    """A busy peer's redirects: six in an answer, two dials at once."""
    town = build()
    target = Target()
    net.fakes.append(target)
    dead = target.addresses(4096)
    trap = net.fake()
    at = [0]

    def answer(link, got):
        if got.type == "Peer Request":
            at[0] += 6
            link.send("Peer Reply", verdict="busy", neighbors=12, **trap.who,
                      redirect=dead[at[0]:at[0] + 6])
        elif got.type == "Liveliness":
            link.send("Liveliness Reply", nonce=got["nonce"], neighbors=12, **trap.who)
    trap.answer = answer
    liar = FakeSeed([trap.address])
    net.fakes.append(liar)
    config = net.directory / "liar.ini"
    config.write_text(f"[seeds]\nliar = {liar.address}\n")
    with bystander(town, "redirects to dead addresses") as b:
        peer = net.peer("-c", str(config), "--set", f"overlay.dial_timeout={ms(300)}",
                        "--set", f"overlay.repair={ms(100)}", wait=True)
        wait_until(lambda: at[0] >= 18, 20, "it came back a few times")
        b.inputs += at[0]
        assert target.most <= 2, target.most
        liar.peers = [town.victim.address]
        wait_until(lambda: town.victim.address in peer.neighbors(), 20)
        peer.ends(seconds=4)


def test_a_neighbor_that_says_it_died_itself_is_believed_only_with_its_lease(build):
    """An attacker that learned a link's identity cannot end the peer's registration."""
    town = build()
    with bystander(town, "Death: of the victim, by a neighbor", town.seed) as b:
        link = Neighbor(town.victim.address)
        who, born = client.identity(town.victim.address, T)
        for reason in ("left", "silent", "reset", "refused"):
            for lease in (None, "0" * 32, "1" * 32):
                answer = client.request(town.seed.address, "Death", T, address=who,
                                        incarnation=born, reason=reason, lease=lease)
                assert answer["verdict"] in ("verifying", "alive")
                b.inputs += 1
        assert who in listed(town.seed)
        assert incarnation() > born
        link.leave()
