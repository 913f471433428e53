"""Networks at their worst: cut in two, one way, half open, lossy, slow, out of order.

Every peer and seed has a host of its own (traffic.py). Where there can be none, all of this
is skipped and says why. SEEDPEER_FULL=1 runs the long ones and prints their figures.
"""

import itertools
import random
import time

import client
import hosts
import pytest
from net import FULL, SLOW, holds, passed, wait_until
from traffic import Publishers, Town, shipped_through

T = 5 * SLOW  # for one answer
CANNOT = hosts.why_not()
pytestmark = pytest.mark.skipif(CANNOT is not None, reason=str(CANNOT))
once = pytest.mark.skipif(SLOW > 1, reason="a matter of time, seen on the plain build")


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))]


def figures(capsys, text):
    """For whoever runs this; pytest would show it for failures only."""
    with capsys.disabled():
        print(f"\n  {text}")


# --- cut and healed ----------------------------------------------------------


PEERS = 12
ROUNDS = 100 if FULL else 3
FAST = 20 / SLOW
PERIOD = 60 / FAST  # seconds


def across(edges, side):
    """Links between the two sides, as somebody still believes in."""
    return [(a, b) for a, to in edges.items() for b in to if (a in side) != (b in side)]


def cuts(chance):
    """(kind, peers on one side, seeds with them, way), a kind after the other."""
    for kind in itertools.cycle(("both ways", "one way", "seeds on one side")):
        side = chance.sample(range(PEERS), chance.randrange(1, PEERS // 2 + 1))
        seeds = [] if kind == "seeds on one side" else [PEERS + chance.randrange(3)]
        way = chance.choice((hosts.TO, hosts.FROM)) if kind == "one way" else hosts.BOTH
        yield kind, side, seeds, way


def apart(net, peers, side):
    edges = net.edges(peers)
    return edges is not None and not across(edges, {p.address for p in peers if p.host in side})


def cut_and_heal(net, town, peers, chance, cut):
    """Seconds from the healing to one component."""
    _, side, seeds, way = cut
    town.cut(side + seeds, way)
    wait_until(lambda: apart(net, peers, side), 60 / FAST, f"no link across {cut}")
    wait_until(passed(chance.uniform(0, 15 / FAST)), 15)
    town.heal()
    healed = time.monotonic()
    wait_until(lambda: net.connected(peers), 60, f"one component after {cut}")
    return time.monotonic() - healed


def check_cuts(net, capsys):
    chance = random.Random(40)
    with Town(net, PEERS, shipped_through(FAST)) as town:
        town.seeds()
        peers = town.peers(PEERS, publishers=(0, 5, 11))
        publishers = Publishers([peers[i] for i in (0, 5, 11)], 10)
        took = [(cut_and_heal(net, town, peers, chance, cut), cut[0])
                for cut in itertools.islice(cuts(chance), ROUNDS)]
        said = town.told_all(publishers)
    seconds = [s for s, _ in took]
    figures(capsys, f"{ROUNDS} cuts healed, one component after p50 "
            f"{percentile(seconds, 50):.2f} s, p99 {percentile(seconds, 99):.2f} s, "
            f"most {max(took)} (period {PERIOD:g} s); {said} messages, 0 lost, 0 twice")
    assert percentile(seconds, 99) <= 2 * PERIOD, sorted(took)[-5:]


@pytest.mark.skipif(FULL, reason="the hundred rounds are run")
def test_a_network_that_was_cut_is_one_again_and_nothing_is_lost(net, capsys):
    check_cuts(net, capsys)


@pytest.mark.slow
@once
def test_a_hundred_cuts_are_healed_and_nothing_is_lost(net, capsys):
    check_cuts(net, capsys)


# --- half open, reset --------------------------------------------------------


def pair(net, settings):
    """Two linked peers on hosts 0 and 1; host 2 has nobody."""
    town = Town(net, 3, settings)
    try:
        town.seeds()
        a, b = town.peers(2, publishers=(0,))
        wait_until(lambda: a.neighbors() == {b.address} and b.neighbors() == {a.address}, 10)
    except BaseException:
        town.close()
        raise
    return town, a, b


def half_open(net, capsys, settings, timeout, way, talks):
    """A neighbor whose host vanished is given up in time, by whoever hears nothing."""
    town, a, b = pair(net, settings)
    with town:
        publishers = Publishers([a] if talks else [], 20)
        town.cut([0], way)
        begin = time.monotonic()
        deaf = {"to": [a], "from": [b], "both": [a, b]}[way]
        wait_until(lambda: all(p.neighbors() == set() for p in deaf), (timeout + 5) / SLOW + 2,
                   "the silent neighbor is given up")
        took = time.monotonic() - begin
        town.heal()
        net.wait_connected([a, b], 30)
        said = town.told_all(publishers) if talks else publishers.quiet()
    figures(capsys, f"cut {way}, {'talking' if talks else 'quiet'}: given up after {took:.2f} s "
            f"(timeout {timeout:g} s), {said or 0} messages, 0 lost")
    assert took <= timeout + 1 + SLOW


@once
@pytest.mark.parametrize("talks", [False, True], ids=["quiet", "talking"])
@pytest.mark.parametrize("way", [hosts.BOTH, hosts.TO, hosts.FROM])
def test_a_neighbor_whose_host_vanished_is_given_up(net, capsys, way, talks):
    half_open(net, capsys, shipped_through(FAST), 15 / FAST, way, talks)


@pytest.mark.slow
@once
def test_a_neighbor_whose_host_vanished_is_given_up_with_timers_as_shipped(net, capsys):
    half_open(net, capsys, {}, 15, hosts.BOTH, True)


def test_links_that_a_firewall_resets_are_opened_again(net):
    town, a, b = pair(net, {"overlay.repair_max": "500ms"})
    with town:
        publishers = Publishers([a], 50)
        for _ in range(3 if FULL else 1):
            town.cut([0], verdict="reject with tcp reset")
            wait_until(lambda: a.neighbors() == b.neighbors() == set(), 10, "the link is reset")
            town.heal()
            net.wait_connected([a, b], 20)
        assert town.told_all(publishers) > 0


# --- losses, delays ----------------------------------------------------------


def deaths(seeds):
    return sum(s.status()["deaths_confirmed"] for s in seeds)


def check_bad_road(net, capsys, n, rate, seconds, limit_ms, spoil, least_ms=0):
    """Everything arrives once on a bad road; nobody is believed dead. The road is really bad:
    packets were lost, or nothing came in less than least_ms."""
    with Town(net, n, {}) as town:
        seeds = town.seeds()
        peers = town.peers(n, publishers=(0, 1, 2))
        how = spoil(town)
        publishers = Publishers(peers[:3], rate / 3)
        wait_until(passed(seconds), seconds + 5)
        said = town.told_all(publishers, 60)
        late = town.ears.latencies
        p50, p99 = percentile(late, 50), percentile(late, 99)
        figures(capsys, f"{how}: {said} messages of {n} peers, {len(late)} deliveries, 0 lost, "
                f"0 twice, p50 {p50:.0f} ms, p99 {p99:.0f} ms, most {max(late):.0f} ms")
        assert min(late) >= least_ms if least_ms else town.dropped() > 10
        town.heal()
        assert p99 <= limit_ms * SLOW
        assert deaths(seeds) == 0, "somebody was believed dead who was not"


def losing(percent):
    def spoil(town):
        town.lose(percent)
        return f"{percent} % lost"
    return spoil


def late(ms, jitter_ms):
    def spoil(town):
        return f"{ms} +- {jitter_ms} ms late by {town.delay(ms, jitter_ms)}"
    return spoil


def late_and_losing(town):
    return late(25, 2.5)(town) + ", " + losing(5)(town)


@once
def test_nothing_is_lost_where_packets_are_lost(net, capsys):
    check_bad_road(net, capsys, 8, 60, 3, 2000, losing(5))


@once
def test_nothing_is_lost_where_packets_come_late_and_out_of_order(net, capsys):
    check_bad_road(net, capsys, 8, 60, 3, 1500, late(50, 25), 25)


@pytest.mark.slow
@once
@pytest.mark.parametrize("percent, limit_ms", [(5, 2000), (30, 20_000)])
def test_twenty_seconds_of_losses(net, capsys, percent, limit_ms):
    check_bad_road(net, capsys, 12, 60, 20, limit_ms, losing(percent))


@pytest.mark.slow
@once
def test_thirty_peers_at_25_ms_with_losses_and_a_hundred_and_twenty_messages_a_second(net, capsys):
    check_bad_road(net, capsys, 30, 120, 20, 2000, late_and_losing, 22)


# --- addresses ---------------------------------------------------------------


class Redirecting(client.FakePeer):
    """Takes nobody, and knows a better one."""
    better = None

    def answer(self, link, got):
        if got.type != "Peer Request":
            super().answer(link, got)
            return
        link.send("Peer Reply", verdict="busy", neighbors=12, redirect=[self.better], **self.who)


@once
def test_a_peer_that_dials_itself_by_another_name_is_not_its_own_neighbor(net):
    alias = "10.78.0.1"
    with Town(net, 2, {"overlay.repair": "100ms", "overlay.repair_max": "200ms"}) as town:
        town.seeds()
        hosts.run([*town.prefix(0), "ip", "address", "add", f"{alias}/32", "dev", "lo"])
        fake = Redirecting(host=hosts.ROUTER)
        net.fakes.append(fake)
        fake.better = f"{alias}:7001"
        for seed in net.seeds:
            fake.register(seed)
        me = town.peer(0, "-a", f"{town.address(0)}:7001", port=7001, listen="0.0.0.0:7001")
        wait_until(lambda: me.log_has(r"in  Peer Reply.*\bself\b"), 10, "it met itself")
        holds(lambda: me.neighbors() == set(), 1)
        other = town.peer(1)
        net.wait_connected([me, other], 10)


# --- seeds that cannot be reached --------------------------------------------


@once
@pytest.mark.parametrize("silent", [1, 2])
def test_a_newcomer_joins_though_some_seeds_are_silent(net, capsys, silent):
    """Their hosts are gone: no refusal, no answer. Two silent ones leave no majority."""
    with Town(net, 8, {}) as town:
        town.seeds()
        peers = town.peers(4, publishers=())
        while not net.listed(2):  # each chooses two of three seeds
            peers.append(town.peer(len(peers)))
            net.wait_connected(peers)
        town.cut(town.seed_hosts[:silent])
        begin = time.monotonic()
        late = town.peer(7)
        net.wait_answer(late)
        net.wait_connected([*peers, late], 20)
        took = time.monotonic() - begin
        figures(capsys, f"{silent} of 3 seeds silent: joined after {took:.2f} s")
        assert took <= 30 * SLOW  # 8.5 s where nothing is busy
