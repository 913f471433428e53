"""Many peers: one network, of the right shape, and nothing left of it."""

import time

from net import SLOW, wait_until

N = 50 if SLOW <= 1 else 15
SURVIVORS = 5


def shape(edges):
    """(smallest, largest) number of neighbors."""
    degrees = [len(to) for to in edges.values()]
    return min(degrees), max(degrees)


def settled(net, peers):
    """The edges, once they are one component of the right degrees and both
    ends of every link agree that it is there."""
    edges = net.connected(peers)
    if not edges:
        return None
    low, high = shape(edges)
    both = all(a in edges[b] for a in edges for b in edges[a])
    return edges if both and low >= min(4, len(peers) - 1) and high <= 12 else None


def start_within(net, n, seconds):
    """n peers, started evenly over that time."""
    begin = time.monotonic()
    peers = []
    for i in range(n):
        time.sleep(max(0.0, begin + seconds * i / n - time.monotonic()))
        peers.append(net.peer())
    return peers


def holdings(processes):
    return [(p.threads(), p.fds()) for p in processes]


def at_most(now, base):
    return all(t <= bt and f <= bf for (t, f), (bt, bf) in zip(now, base))


def test_many_peers_become_one_network_and_leave_nothing_behind(net):
    seeds = net.start_seeds(3)
    survivors = net.peers(SURVIVORS)
    wait_until(lambda: settled(net, survivors), 15)
    everybody = {p.address for p in survivors}
    wait_until(lambda: net.known() == everybody, 5)
    lasting = seeds + survivors
    # A conversation with a seed may still be ending: the least of a second counts.
    base = holdings(lasting)
    end = time.monotonic() + 1
    while time.monotonic() < end:
        now = holdings(lasting)
        base = [(min(a, c), min(b, d)) for (a, b), (c, d) in zip(base, now)]

    guests = start_within(net, N - SURVIVORS, 2 * SLOW)
    peers = survivors + guests
    edges = wait_until(lambda: settled(net, peers), 20, f"{N} peers, one network")
    assert len(edges) == N
    low, high = shape(edges)
    assert low >= 4 and high <= 12
    assert net.known() == {p.address for p in peers}

    for p in guests:
        p.send_signal(15)
    for p in guests:
        assert p.wait(5) == 0
    wait_until(lambda: net.known() == everybody, 5)
    wait_until(lambda: settled(net, survivors), 15)
    wait_until(lambda: at_most(holdings(lasting), base), 10, f"back to {base}")


def test_a_fifth_of_a_network_may_be_killed_at_once(net):
    n = 20 if SLOW <= 1 else 10
    net.start_seeds(3)
    peers = [net.peer() for _ in range(n)]
    wait_until(lambda: settled(net, peers), 20)
    dead, rest = peers[:n // 5], peers[n // 5:]
    for p in dead:
        p.kill()
    wait_until(lambda: all(net.gone(p.address) for p in dead), 3)
    edges = wait_until(lambda: settled(net, rest), 10)
    assert not {p.address for p in dead} & set().union(*edges.values())
    assert net.known() == {p.address for p in rest}
