"""Networks at their worst: cut in two, one way, half open, lossy, slow, out of order.

Every peer and seed has a host of its own (town.py). Where there can be none, all of this
is skipped and says why. SEEDPEER_FULL=1 runs the long ones and prints their figures.
"""

import itertools
import random
import time

import client
import hosts
import pytest
from net import FULL, SLOW, holds, passed, wait_until
from town import Publishers, Town, shipped_through

T = 5 * SLOW  # for one answer
CANNOT = hosts.why_not()
pytestmark = pytest.mark.skipif(CANNOT is not None, reason=str(CANNOT))


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
def test_a_hundred_cuts_are_healed_and_nothing_is_lost(net, capsys):
    check_cuts(net, capsys)
