"""One peer among others: joining, links, the prompt, leaving, being killed."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import threading

import client
import pytest
from client import Conn, request
from net import (FULL, LOG_LINE, PEER, SEED, SLOW, free_port, holds, ms, passed,
                 wait_until)

T = 5 * SLOW  # for one answer


# --- joining (R1, R5, R6) ----------------------------------------------------


def test_peers_find_each_other_through_the_seeds(net, host):
    net.start_seeds(3)
    peers = [net.peer() for _ in range(3)]
    wait_until(lambda: all(len(p.try_neighbors() or ()) == 2 for p in peers), 10)
    everybody = {p.address for p in peers}
    for p in peers:
        assert p.neighbors() == everybody - {p.address}


@pytest.mark.parametrize("seeds, contacted", [(1, 1), (2, 2), (3, 2), (5, 3)])
def test_a_starting_peer_registers_with_a_majority_of_the_seeds(net, seeds, contacted):
    running = net.start_seeds(seeds)
    peer = net.peer(wait=True)

    def lists_it():
        return sum(peer.address in known for known in net.lists())
    wait_until(lambda: lists_it() == contacted, 5)
    holds(lambda: lists_it() == contacted, 1)
    assert sum(seed.status()["registers"] for seed in running) == contacted


def test_the_majority_is_another_one_for_every_peer(net):
    net.start_seeds(3)
    peers = [net.peer() for _ in range(12)]
    wait_until(lambda: sum(map(len, net.lists())) == 24, 10)
    # the chance that 12 random pairs leave out the same seed is 3 * (1/3)^12
    assert all(net.lists())
    assert all(p.running() for p in peers)


def test_a_peer_takes_any_free_port(net):
    seed, = net.start_seeds(1)
    net.start([PEER, "-c", str(net.config), "--log-dir", "logs"], "peer")
    address, = wait_until(lambda: net.listed(0), 5)
    port = client.split_address(address)[1]
    assert client.identity(address, T)[0] == address
    wait_until(lambda: (net.directory / "logs" / "clients" / f"output_{port}.log").exists(), 3)


def test_two_peers_may_not_listen_on_one_address(net):
    net.start_seeds(1)
    first = net.peer(wait=True)
    second = net.peer(port=client.split_address(first.address)[1], expect=1)
    assert second.wait() == 1
    assert first.address in second.err()


def test_peers_start_while_one_of_three_seeds_is_down(net, host):
    net.set_up(3)
    net.seed(0)
    net.seed(2)
    peers = net.peers(4)
    # with one seed of three down a majority is exactly the other two
    wait_until(lambda: all(p.address in net.listed(i) for p in peers for i in (0, 2)), 10)


def test_a_silent_seed_is_replaced_by_another(net):
    net.set_up(3, overlay__seed_timeout=ms(500))
    hung = net.seed(0)
    net.seed(1)
    net.seed(2)
    hung.send_signal(signal.SIGSTOP)
    peers = [net.peer() for _ in range(4)]
    wait_until(lambda: all(p.address in net.listed(i) for p in peers for i in (1, 2)), 10)
    hung.send_signal(signal.SIGCONT)


def test_a_peer_waits_for_the_seeds_and_joins_when_they_appear(net):
    net.set_up(3, overlay__repair_max=ms(500))
    peers = [net.peer(wait=True) for _ in range(2)]
    holds(lambda: all(p.running() for p in peers), 0.5)
    for i in range(3):
        net.seed(i)
    net.wait_connected(peers)


def test_a_network_goes_on_without_any_seed(net):
    seeds = net.start_seeds(3)
    peers = net.peers(3)
    sender, sink = net.fake(), net.fake()
    source, out = sender.link(peers[0].address, T), sink.link(peers[2].address, T)
    for seed in seeds:
        seed.kill()
    source.send_bytes(client.frame(sender.next_message("still here")))
    assert out.wait("Message", T)["data"] == "still here"


def test_the_lists_are_complete_within_a_period_after_all_seeds_were_restarted(net):
    period = 1.5 * SLOW
    seeds = net.start_seeds(3, seed__period=ms(1500), overlay__repair_max=ms(500))
    peers = net.peers(5)
    for seed in seeds:
        seed.kill()
    for i in range(3):
        net.seed(i)

    def complete():
        lists = net.lists()
        return all(sum(p.address in known for known in lists) >= 2 for p in peers)
    # a period may last 10 % longer
    wait_until(complete, 1.1 * period / SLOW + 1, "every peer is listed by two seeds")


def test_a_peer_renews_with_its_lease(net):
    seed, = net.start_seeds(1, seed__period=ms(400))
    peer = net.peer(wait=True)
    wait_until(lambda: seed.status()["registers"] >= 4, 10)
    assert net.listed(0) == {peer.address}
    assert peer.ends() == 0
    assert net.listed(0) == set()  # removed at once, so its lease was right


def test_links_are_repaired_when_neighbors_leave(net):
    net.start_seeds(1)
    peers = net.peers(8)
    wait_until(lambda: all(len(p.neighbors()) >= 4 for p in peers), 10)
    for p in peers[:3]:
        p.kill()
    rest = peers[3:]
    everybody = {p.address for p in rest}
    wait_until(lambda: all(p.neighbors() == everybody - {p.address} for p in rest), 10,
               "five peers, each linked to the other four")


# --- verdicts (R3) -----------------------------------------------------------


def test_a_peer_has_at_most_twelve_links_and_redirects_the_rest(net, host):
    net.start_seeds(1)
    peer = net.peer(wait=True)
    linked = [net.fake() for _ in range(12)]
    links = [fake.link(peer.address, T) for fake in linked]
    addresses = {fake.address for fake in linked}
    assert peer.neighbors() == addresses
    for _ in range(5):
        link, reply = net.fake().ask_link(peer.address, T)
        assert reply["verdict"] == "busy"
        assert reply["neighbors"] == 12
        assert len(reply["redirect"]) == len(set(reply["redirect"])) == 6
        assert set(reply["redirect"]) <= addresses
        assert link.wait_end(T)
    assert peer.neighbors() == addresses
    for link in links:
        link.ping(T)


def test_a_full_peer_makes_room_for_an_urgent_one_but_not_often(net):
    net.start_seeds(1, overlay__urgent_interval="60s")
    peer = net.peer(wait=True)
    links = [net.fake().link(peer.address, T) for _ in range(12)]
    urgent = net.fake()
    urgent.link(peer.address, T, urgent=True)
    ended = wait_until(lambda: [link for link in links if link.over], 5)
    assert len(ended) == 1 and ended[0].seen("Bye")[0]["reason"] == "busy"
    neighbors = peer.neighbors()
    assert len(neighbors) == 12 and urgent.address in neighbors
    _, reply = net.fake().ask_link(peer.address, T, urgent=True)
    assert reply["verdict"] == "busy"


def test_a_peer_that_is_redirected_goes_there(net):
    seed, = net.start_seeds(1)
    full, other = net.fake(), net.fake()
    full.register(seed.address)

    def redirect(link, got):
        if got.type == "Peer Request":
            link.send("Peer Reply", verdict="busy", neighbors=12, redirect=[other.address],
                      **full.who)
        else:
            client.FakePeer.answer(full, link, got)
    full.answer = redirect
    peer = net.peer()
    other.requested(T)
    wait_until(lambda: peer.try_neighbors() == {other.address}, 5)


def test_a_peer_recognizes_itself(net, host):
    net.start_seeds(1)
    peer = net.peer(wait=True)
    address, incarnation = client.identity(peer.address, T)
    link, reply = net.fake().ask_link(peer.address, T, address=address, incarnation=incarnation)
    assert reply["verdict"] == "self"
    assert link.wait_end(T)
    assert peer.neighbors() == set()


def test_of_two_young_links_from_one_dialer_the_newer_stays(net):
    net.start_seeds(1, overlay__tie="60s")
    peer = net.peer(wait=True)
    fake = net.fake()
    first = fake.link(peer.address, T)
    second = fake.link(peer.address, T)
    assert first.wait_end(T)
    assert [bye["reason"] for bye in first.seen("Bye")] == ["duplicate"]
    second.ping(T)
    assert request(peer.address, "Get Peer List", T)["peers"] == [fake.address]


def test_a_second_link_to_one_with_an_old_link_is_a_duplicate(net):
    net.start_seeds(1, overlay__tie="10ms")
    peer = net.peer(wait=True)
    fake = net.fake()
    first = fake.link(peer.address, T)
    wait_until(passed(0.1))
    second, reply = fake.ask_link(peer.address, T)
    assert reply["verdict"] == "duplicate"
    assert second.wait_end(T)
    first.ping(T)
    assert request(peer.address, "Get Peer List", T)["peers"] == [fake.address]


def test_a_smaller_incarnation_of_a_neighbor_is_a_duplicate(net):
    net.start_seeds(1)
    peer = net.peer(wait=True)
    fake = net.fake()
    first = fake.link(peer.address, T)
    second, reply = fake.ask_link(peer.address, T, incarnation=fake.incarnation - 1)
    assert reply["verdict"] == "duplicate"
    assert second.wait_end(T)
    first.ping(T)


def test_a_larger_incarnation_of_a_neighbor_is_checked_by_dialing_it(net):
    net.start_seeds(1)
    peer = net.peer(wait=True)
    fake = net.fake()
    first = fake.link(peer.address, T)
    fake.verdict = "duplicate"  # as it must answer while it holds that link
    liar, reply = fake.ask_link(peer.address, T, incarnation=fake.incarnation + 5)
    assert reply["verdict"] == "busy"
    assert liar.wait_end(T)
    fake.accepted(T)  # it dials the address itself ...
    fake.requested(T).wait_end(T)  # ... and is told of the link it has
    first.ping(T)
    assert request(peer.address, "Get Peer List", T)["peers"] == [fake.address]


def test_a_neighbor_that_was_restarted_unnoticed_is_taken_back(net):
    net.start_seeds(1)
    peer = net.peer(wait=True)
    fake = net.fake()
    fake.link(peer.address, T)
    fake.incarnation += 5  # a new run; the old connection was never reset
    fake.ask_link(peer.address, T)
    fresh = fake.requested(T)
    wait_until(lambda: not fresh.over and peer.neighbors() == {fake.address}, 5)
    fresh.ping(T)


@pytest.mark.parametrize("smaller", ["the peer", "the other"])
def test_when_both_dial_at_once_the_dialer_with_the_smaller_identity_wins(net, smaller):
    seed, = net.start_seeds(1)
    low, high = sorted((free_port(net.host), free_port(net.host)))
    fake = net.fake(port=high if smaller == "the peer" else low)
    fake.verdict = None  # the answer comes below, by hand
    fake.register(seed.address)
    peer = net.peer(port=low if smaller == "the peer" else high)
    theirs = fake.requested(T)
    mine, reply = fake.ask_link(peer.address, T)
    # Only then is the peer's own request answered, so both are "accepted".
    try:
        theirs.send("Peer Reply", verdict="accepted", neighbors=1, **fake.who)
    except client.Ended:
        pass
    stays, goes = (theirs, mine) if smaller == "the peer" else (mine, theirs)
    assert goes.wait_end(T)
    stays.ping(T)
    assert not stays.over
    assert request(peer.address, "Get Peer List", T)["peers"] == [fake.address]


def test_two_peers_that_start_at_once_have_one_link(net):
    for _ in range(5):
        net.start_seeds(1)
        a, b = net.peer(), net.peer()

        def linked():
            lists = [request(p.address, "Get Peer List", T)["peers"] for p in (a, b)]
            return lists == [[b.address], [a.address]]
        net.wait_answer(a)
        net.wait_answer(b)
        wait_until(linked, 10)
        holds(linked, 0.3)
        assert a.ends() == b.ends() == 0


# --- what strangers send -----------------------------------------------------


def test_a_connection_that_is_no_link_ends_when_idle(net):
    net.start_seeds(1)
    peer = net.peer(settings={"liveness.idle": "400ms"}, wait=True)
    with Conn(peer.address) as conn:
        conn.ask("Liveliness", nonce=1)
        assert conn.ends(3 * SLOW)
    link = net.fake().link(peer.address, T)
    holds(lambda: not link.over, 1)


# --- those who are gone (R12, R14) -------------------------------------------


def settled(net, n, **settings):
    """Seeds and n peers that all seeds together know."""
    net.start_seeds(3, **settings)
    peers = net.peers(n)
    wait_until(lambda: net.known() == {p.address for p in peers}, 10)
    return peers


def test_a_killed_peer_is_gone_from_every_list_within_three_seconds(net, host):
    peers = settled(net, 5)
    peers[2].kill()
    wait_until(lambda: net.gone(peers[2].address), 3)
    assert net.known() == {p.address for p in peers} - {peers[2].address}


def test_a_peer_killed_a_second_after_it_joined_is_gone_as_fast(net):
    peers = settled(net, 4)
    fresh = net.peer()
    wait_until(lambda: fresh.address in net.known() and fresh.try_neighbors(), 5)
    fresh.kill()
    wait_until(lambda: net.gone(fresh.address), 3)
    assert net.known() == {p.address for p in peers}


def test_the_neighbors_of_a_killed_peer_report_it(net):
    peers = settled(net, 4)
    peers[0].kill()
    wait_until(lambda: net.gone(peers[0].address), 3)
    wait_until(lambda: sum(p.status()["deaths_reported"] for p in peers[1:]) >= 1, 3)
    assert all(peers[0].address not in p.neighbors() for p in peers[1:])


TWENTIETH = {"liveness__interval": ms(250), "liveness__busy_interval": ms(1500),
             "liveness__timeout": ms(750), "seed__verify_connect": ms(150),
             "seed__verify_reply": ms(500), "seed__verify_retry": ms(50),
             "overlay__report_delay": ms(15), "seed__period": ms(3000)}


def test_a_stopped_peer_is_gone_within_two_seconds_with_all_timers_at_a_twentieth(net):
    peers = settled(net, 4, **TWENTIETH)
    stopped = peers[1]
    stopped.send_signal(signal.SIGSTOP)
    others = [p for p in peers if p is not stopped]
    wait_until(lambda: net.gone(stopped.address), 2)
    wait_until(lambda: all(stopped.address not in p.neighbors() for p in others), 2)
    # It wakes up, finds its links gone, and comes back by itself.
    stopped.send_signal(signal.SIGCONT)
    net.wait_connected(peers, 10)
    wait_until(lambda: stopped.address in net.known(), 10)


def test_a_short_pause_accuses_nobody(net):
    peers = settled(net, 4)
    before = {p.address: p.neighbors() for p in peers}
    peers[0].send_signal(signal.SIGSTOP)
    wait_until(passed(2))
    peers[0].send_signal(signal.SIGCONT)
    wait_until(lambda: {p.address: p.try_neighbors() for p in peers} == before, 3)
    assert sum(p.status()["deaths_reported"] for p in peers) == 0


@pytest.mark.slow
def test_a_stopped_peer_is_gone_within_thirty_seconds_with_the_default_timers(net):
    peers = settled(net, 4)
    peers[1].send_signal(signal.SIGSTOP)
    wait_until(lambda: net.gone(peers[1].address), 30 / SLOW if SLOW > 1 else 30)
    peers[1].send_signal(signal.SIGCONT)


def test_a_silent_neighbor_is_asked_before_it_is_given_up(net):
    net.start_seeds(1, liveness__interval=ms(200), liveness__timeout=ms(1000))
    peer = net.peer(wait=True)
    fake = net.fake()
    link = fake.link(peer.address, T)
    link.wait("Liveliness", T)
    link.wait("Liveliness", T)
    fake.mute = True
    assert link.wait_end(T)
    wait_until(lambda: peer.neighbors() == set(), 3)


def test_a_dial_that_is_refused_is_reported(net):
    seed, = net.start_seeds(1)
    fake = net.fake()
    fake.register(seed.address)
    fake.stop()
    net.peer()
    wait_until(lambda: fake.address not in net.listed(0), 5)


# --- leaving (R15) -----------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_peer_that_leaves_is_off_the_lists_at_once(net, number):
    peers = settled(net, 3)
    seed_logs = [p for p in net.processes if p not in peers]
    assert peers[0].ends(number) == 0
    assert net.gone(peers[0].address)
    wait_until(lambda: sum(bool(s.log_has(r" in  Death .*left")) for s in seed_logs) == 2, 3)
    assert sum(p.status()["deaths_reported"] for p in peers[1:]) == 0


def test_a_neighbor_is_told_bye(net, host):
    net.start_seeds(1)
    peer = net.peer(wait=True)
    link = net.fake().link(peer.address, T)
    assert peer.ends() == 0
    assert link.wait("Bye", T)["reason"] == "shutdown"
    assert link.wait_end(T)


def test_a_peer_under_load_leaves_within_two_seconds(net, host):
    net.start_seeds(3)
    peers = net.peers(3, "--receive")
    sender = net.peer("--send", stdin=subprocess.PIPE, expect=None)
    stop = threading.Event()

    def pump():
        try:
            while not stop.is_set():
                sender.say("load " * 20 + "\n")
        except OSError:
            pass
    pumping = threading.Thread(target=pump, daemon=True)
    pumping.start()
    try:
        wait_until(lambda: all(p.out_path.stat().st_size > 100_000 for p in peers), 15)
        assert peers[0].ends() == 0
        assert net.gone(peers[0].address)
        sender.send_signal(signal.SIGTERM)
        assert sender.wait(3) in (0, 1)
    finally:
        stop.set()
        sender.kill()
        pumping.join(5)


def test_a_peer_leaves_though_seeds_and_neighbors_hang(net):
    seeds = net.start_seeds(3)
    peers = net.peers(3)
    fake = net.fake()
    fake.link(peers[0].address, T)
    fake.mute = True
    for p in seeds + peers[1:]:
        p.send_signal(signal.SIGSTOP)
    assert peers[0].ends(seconds=2.5) == 0


def test_a_second_signal_ends_at_once(net):
    seeds = net.start_seeds(3)
    peer = net.peer(wait=True, expect=None)
    fake = net.fake()
    fake.link(peer.address, T)
    fake.mute = True
    for seed in seeds:
        seed.send_signal(signal.SIGSTOP)
    peer.send_signal(signal.SIGTERM)

    def again():
        peer.send_signal(signal.SIGTERM)
        return not peer.running()
    peer.killed = True
    wait_until(again, 1)


# --- the prompt, through a pipe ----------------------------------------------


PROMPTED = {"stdin": subprocess.PIPE, "wait": True}


def test_commands_through_a_pipe(net, host):
    net.start_seeds(1)
    peer, other = net.peer(**PROMPTED), net.peer("--receive", wait=True)
    net.wait_connected([peer, other])

    listed = peer.prompt("1", r"^1 neighbors?\n(.*)\n").group(1)
    assert other.address in listed and re.search("dialed|accepted", listed)
    assert peer.prompt("peers", r"^1 neighbors?\n.*" + re.escape(other.address))
    peer.prompt("send Hello, world", "")
    wait_until(lambda: other.lines() == [b"Hello, world"], 5)
    line = peer.prompt("2", r"^.*Hello, world$").group(0)
    assert "sent" in line and peer.address in line
    shown = re.search(r"\b[0-9a-f]{12}\b", line).group(0)
    assert "Hello, world" in peer.prompt(f"get {shown}", r"^.*Hello, world").group(0)
    peer.prompt("messages", r"^.*Hello, world$")
    peer.prompt("help", r"send")
    unknown = peer.prompt("dance", r"^.*dance.*$").group(0)
    assert unknown
    peer.say("3\n")
    assert peer.wait(3) == 0
    wait_until(lambda: net.listed(0) == {other.address}, 1)


@pytest.mark.parametrize("word", ["3", "exit", "quit"])
def test_the_words_for_leaving(net, word):
    net.start_seeds(1)
    peer = net.peer(**PROMPTED)
    wait_until(lambda: peer.log_has(" in  Peer List"), 5)
    peer.say(f"{word}\n")
    assert peer.wait(3) == 0
    assert net.listed(0) == set()


STATUS = {"address", "incarnation", "uptime_ms", "neighbors", "threads", "fds", "published",
          "delivered", "duplicates", "forwarded", "recovered", "lost", "conflicts", "have_sent",
          "getdata_sent", "prunes", "grafts", "store_messages", "store_bytes", "outbox_bytes",
          "bytes_in", "bytes_out", "deaths_reported", "rejected"}


def test_status_is_one_object_on_one_line(net, host):
    net.start_seeds(1)
    peer = net.peer(**PROMPTED)
    fake = net.fake()
    link = fake.link(peer.address, T)
    message = client.frame(fake.next_message("x"))
    link.send_bytes(message + message)
    peer.prompt("send y", "")
    link.wait("Message", T)
    link.ping(T)
    status = peer.prompt_status()
    assert STATUS <= set(status)
    assert status["address"] == peer.address
    assert status["incarnation"] == client.identity(peer.address, T)[1]
    want = {"neighbors": 1, "published": 1, "delivered": 1, "duplicates": 1, "lost": 0,
            "conflicts": 0, "store_messages": 2}
    assert {k: status[k] for k in want} == want
    assert status["bytes_in"] > 2 * len(message) and status["bytes_out"] > 100
    assert status["rejected"] == {} or not any(status["rejected"].values())
    assert set(peer.status()) == set(status)  # SIGUSR1: the same object in the log


def test_blank_lines_are_ignored_and_long_ones_refused(net):
    net.start_seeds(1)
    peer, other = net.peer(**PROMPTED), net.peer("--receive", wait=True)
    net.wait_connected([peer, other])
    peer.say("\n  \n\t\n")
    peer.say("send " + "x" * 2_000_000 + "\n")

    def said():
        return (peer.out().decode() + peer.err()).strip()
    wait_until(said, 5, "the refusal")
    assert "xxxxxxxxxxxxxxxxxxxxx" not in said() and len(said().splitlines()) == 1
    peer.prompt("send short", "")
    wait_until(lambda: other.lines(), 5)
    assert other.lines() == [b"short"]


def test_there_is_no_menu_and_no_prompt_without_a_terminal(net):
    net.start_seeds(1)
    peer = net.peer(**PROMPTED)
    peer.prompt("1", r"^0 neighbors")
    assert b"> " not in peer.out() and b"exit" not in peer.out()
    assert b"\x1b" not in peer.out()


def test_the_end_of_stdin_ends_the_prompt_and_not_the_peer(net):
    net.start_seeds(1)
    peer = net.peer(**PROMPTED)
    peer.say("1\n2\n")
    peer.popen.stdin.close()
    wait_until(lambda: b"0 neighbors" in peer.out(), 5)
    net.fake().link(peer.address, T).ping(T)
    assert peer.running()


def test_a_command_without_its_newline_counts_at_the_end_of_stdin(net):
    net.start_seeds(1)
    peer = net.peer(**PROMPTED)
    peer.say("1")
    peer.popen.stdin.close()
    wait_until(lambda: b"0 neighbors" in peer.out(), 5)


def test_get_asks_the_neighbors_for_a_message_that_is_not_held_here(net):
    net.start_seeds(1)
    peer = net.peer(**PROMPTED)
    holder = net.fake()
    link = holder.link(peer.address, T)
    body = client.encode(holder.next_message("from far away"))
    name = client.message_id(body)
    peer.say(f"get {name}\n")
    assert link.wait("getData", T)["id"] == name
    link.send_bytes(client.frame(body, flags=client.RECOVERY, hops=1))
    wait_until(lambda: b"from far away" in peer.out(), 5)

    nobody = "0123456789abcdef" * 2
    peer.say(f"get {nobody}\n")
    link.wait("getData", T, lambda got: got["id"] == nobody)
    before = len(peer.out())
    link.send("Not Found", id=nobody)
    wait_until(lambda: len(peer.out()) > before, 35 if FULL else 15)


def test_text_from_the_network_is_escaped_at_the_prompt_and_in_the_log(net):
    net.start_seeds(1)
    peer = net.peer(**PROMPTED)
    fake = net.fake()
    link = fake.link(peer.address, T)
    link.send_bytes(client.frame(fake.next_message("evil\x1b[2J\rtext\n127.0.0.1 forged line")))
    link.ping(T)
    line = peer.prompt("2", r"^.*evil.*$").group(0)
    assert "text" in line and "forged" in line
    assert b"\x1b" not in peer.out() and b"\r" not in peer.out()
    wait_until(lambda: peer.log_has("evil"), 3)
    assert "\x1b[2J" not in peer.log_text(keep_color=True)
    assert all(LOG_LINE.match(line) for line in peer.log_text().splitlines())


def test_the_prompt_shows_at_most_a_hundred_messages(net):
    net.start_seeds(1)
    peer = net.peer(**PROMPTED)
    fake = net.fake()
    link = fake.link(peer.address, T)
    for i in range(150):
        link.send_bytes(client.frame(fake.next_message(f"number {i}.")))
    link.ping(T)
    peer.prompt("2", r"number 149\.")
    peer.prompt("1", "1 neighbor")
    assert peer.out().count(b"number ") == 100
    assert b"number 49." not in peer.out() and b"number 50." in peer.out()


# --- the prompt, on a terminal -----------------------------------------------


def peer_on(net, terminal, *options):
    port = free_port(net.host)
    t = terminal(PEER, "-c", str(net.config), "--log-dir", "logs", *options, "-l",
                 client.join_address(net.host, port))
    t.address = t.process.address = client.join_address(net.host, port)
    t.wait(r"^> ?")
    return t


def test_on_a_terminal_there_is_a_menu_and_a_prompt(net, host, terminal):
    net.start_seeds(1)
    t = peer_on(net, terminal)
    assert "1 peers" in t.read() and "3 exit" in t.read()
    other = net.peer("--receive", wait=True)
    net.wait_connected([other, t.process])
    t.type("1\n")
    t.wait(r"^1 neighbors?\n.*" + re.escape(other.address))
    t.type("send typed here\n")
    wait_until(lambda: other.lines() == [b"typed here"], 5)
    t.type("dance\n")
    t.wait(r"^(?!> ).*dance")
    t.type("3\n")
    assert t.process.wait(3) == 0


def test_get_shows_a_message_of_another_peer(net, terminal):
    net.start_seeds(1)
    t = peer_on(net, terminal)
    fake = net.fake()
    link = fake.link(t.address, T)
    body = client.encode(fake.next_message("written by somebody else"))
    link.send_bytes(client.frame(body))
    link.ping(T)
    t.type("2\n")
    line = t.wait(r"^.*written by somebody else").group(0)
    assert client.message_id(body)[:12] in line and "received" in line
    at = len(t.read())
    t.type(f"get {client.message_id(body)}\n")
    t.wait("written by somebody else", after=at)


def test_half_typed_input_survives_messages_that_arrive(net, terminal):
    net.start_seeds(1)
    t = peer_on(net, terminal)
    fake = net.fake()
    link = fake.link(t.address, T)
    t.type("send half")
    t.wait(r"> ?send half\Z")
    for i in range(20):
        link.send_bytes(client.frame(fake.next_message(f"noise {i}")))
    link.ping(T)
    holds(lambda: re.search(r"> ?send half\Z", t.read()), 0.5)
    t.type(" typed\n")
    assert link.wait("Message", T)["data"] == "half typed"


@pytest.mark.parametrize("typed", ["", "send half"])
def test_ctrl_c_at_the_prompt_leaves(net, terminal, typed):
    net.start_seeds(1)
    t = peer_on(net, terminal)
    wait_until(lambda: net.listed(0), 5)
    t.type(typed)
    t.type("\x03")
    assert t.process.wait(2) == 0
    assert net.listed(0) == set()


def test_ctrl_d_at_the_prompt_does_not_end_the_peer(net, terminal):
    net.start_seeds(1)
    t = peer_on(net, terminal)
    t.type("\x04")
    holds(lambda: t.process.running(), 0.3)
    net.fake().link(t.address, T).ping(T)


def test_a_seed_on_a_terminal_shows_its_log_and_ends_on_ctrl_c(net, terminal):
    net.set_up(1)
    t = terminal(SEED, "-c", str(net.config), "--log-dir", "logs", "node1")
    t.wait("start")
    net.fake().register(net.seeds[0])
    t.wait(r"in  Register")
    t.type("\x03")
    assert t.process.wait(2) == 0


# --- logs and signals --------------------------------------------------------


def test_the_log_of_a_peer_has_a_line_for_each_event(net, host):
    net.start_seeds(1)
    peers = net.peers(2)
    fake = net.fake()
    link = fake.link(peers[0].address, T)
    link.send_bytes(client.frame(fake.next_message("a message for the log")))
    link.ping(T)
    link.close()
    assert peers[1].ends() == 0
    wait_until(lambda: not peers[0].neighbors(), 5)
    assert peers[0].ends() == 0
    lines = peers[0].log_text().splitlines()
    assert all(LOG_LINE.match(line) for line in lines), lines
    for event in ("--  start", "out Register", "in  Peer List", "in  Peer Request",
                  "out Peer Reply", "in  Message .*a message for the log", "in  Liveliness",
                  "in  Bye", "--  stop"):
        assert peers[0].log_has(event), event


def test_a_long_message_is_cut_in_the_log(net):
    net.start_seeds(1)
    peer = net.peer(wait=True)
    fake = net.fake()
    fake.link(peer.address, T).send_bytes(client.frame(fake.next_message("y" * 5000)))
    line = wait_until(lambda: peer.log_has(r"^.*Message.*yyy.*$"), 3).group(0)
    assert 40 <= line.count("y") <= 81


def test_a_peer_with_a_prompt_writes_to_bin_clients_in_the_current_directory(net):
    net.start_seeds(1)
    peer = net.peer(wait=True, logs=False)
    port = client.split_address(peer.address)[1]
    log = net.directory / "bin" / "clients" / f"output_{port}.log"
    wait_until(log.exists, 3)


def test_sighup_opens_a_new_log(net):
    net.start_seeds(1)
    peer = net.peer(wait=True)
    wait_until(lambda: peer.log_has("start"), 3)
    peer.log_path.rename(peer.log_path.with_suffix(".moved"))
    peer.send_signal(signal.SIGHUP)
    peer.status()
    assert peer.log_path.exists()


def test_a_service_manager_is_told_when_a_peer_is_ready(net):
    net.start_seeds(1)
    path = str(net.directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(T)
        peer = net.peer(env={"NOTIFY_SOCKET": path})
        assert b"READY=1" in s.recv(1000)
    assert client.identity(peer.address, T)[0] == peer.address


def test_demo_messages_name_their_origin_and_number(net):
    net.start_seeds(1)
    talker = net.peer(settings={"peer.message_interval": "100ms"}, wait=True)
    link = net.fake().link(talker.address, T)
    first = link.wait("Message", T)
    second = link.wait("Message", T)
    assert second["seq"] == first["seq"] + 1
    port = str(client.split_address(talker.address)[1])
    assert port in first["data"] and str(first["seq"]) in first["data"]


def test_a_peer_publishes_nothing_by_itself_unless_told_so(net):
    net.start_seeds(1)
    peer = net.peer(wait=True)
    link = net.fake().link(peer.address, T)
    holds(lambda: not link.seen("Message"), 0.5)


# --- many times --------------------------------------------------------------


def test_stopping_at_any_moment_is_clean(net):
    net.start_seeds(1)
    net.peers(2)
    for i in range(10):
        peer = net.peer()
        wait_until(pathlib.Path(peer.log_path).exists)  # before main, a signal is the loader's
        wait_until(passed(0.02 * i))
        assert peer.ends(seconds=2) == 0
    wait_until(lambda: len(net.known()) == 2, 5)


def test_links_that_come_and_go_leave_no_thread_and_no_descriptor(net):
    net.start_seeds(1)
    peer = net.peer(wait=True)
    wait_until(lambda: peer.neighbors() == set(), 5)
    base = peer.threads(), peer.fds()
    for i in range(40):
        fake = client.FakePeer(net.host)
        link = fake.link(peer.address, T)
        if i % 3 == 0:
            link.send("Bye", reason="shutdown")
            link.finish()
        elif i % 3 == 1:
            link.reset()
        fake.stop()
    wait_until(lambda: (peer.threads(), peer.fds()) <= base, 10,
               f"{base}, but {peer.threads()} threads and {peer.fds()} descriptors")
