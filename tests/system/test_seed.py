"""The seed as a whole: its list, its judgement of deaths, its manners."""

import json
import os
import resource
import secrets
import signal
import socket
import stat
import subprocess
import threading
import time

import client
import net as daemons
import pytest
from client import NO_LEASE, Conn, request
from net import ANSI, LOG_LINE, SEED, SLOW, free_port, holds, ms, passed, wait_until

T = 5 * SLOW  # for one answer


def list_of(seed, want=1000):
    return request(seed.address, "Get Peer List", T, want=want)


def death(seed, who, reason, incarnation=None, **more):
    fields = {"address": who.address, "incarnation": who.incarnation, "reason": reason, **more}
    if incarnation is not None:
        fields["incarnation"] = incarnation
    return request(seed.address, "Death", T, **fields)["verdict"]


# --- Register (R2) -----------------------------------------------------------


def test_a_peer_that_registers_is_listed_and_told_of_the_others(net, host):
    seed, = net.start_seeds(1)
    a, b = net.fake(), net.fake()
    first = a.register(seed.address)
    assert (first["count"], first["peers"], first["reachable"]) == (1, [], True)
    second = b.register(seed.address)
    assert (second["count"], second["peers"]) == (2, [a.address])
    assert client.split_address(second["you"])[0] == host
    assert set(list_of(seed)["peers"]) == {a.address, b.address}


def test_a_registration_is_answered_with_a_lease_and_a_period(net, seed):
    answer = net.fake().register(seed.address)
    assert len(answer["lease"]) == 32 and answer["lease"] != NO_LEASE
    assert answer["period_ms"] == 60000


def test_every_lease_is_another(net, seed):
    leases = [net.fake().register(seed.address)["lease"] for _ in range(20)]
    assert len(set(leases)) == 20


def test_the_seed_dials_back_and_asks_for_the_identity(net, seed):
    fake = net.fake()
    fake.register(seed.address)
    assert fake.accepted(T).wait("Liveliness", T)


def test_a_peer_that_does_not_listen_is_not_listed(net, seed):
    answer = request(seed.address, "Register", T, incarnation=1, want=4,
                     address=client.join_address(net.host, free_port(net.host)))
    assert (answer["reachable"], answer["lease"]) == (False, NO_LEASE)
    assert list_of(seed)["count"] == 0


def test_a_peer_that_listens_but_does_not_answer_is_not_listed(net):
    seed, = net.start_seeds(1, seed__dial_back=ms(300))
    fake = net.fake()
    fake.mute = True
    answer = fake.register(seed.address, timeout=T)
    assert (answer["reachable"], answer["lease"]) == (False, NO_LEASE)
    assert list_of(seed)["count"] == 0


def test_a_peer_that_answers_as_another_run_is_not_listed(net, seed):
    fake = net.fake()
    answer = fake.register(seed.address, incarnation=fake.incarnation + 1)
    assert (answer["reachable"], answer["lease"]) == (False, NO_LEASE)
    assert list_of(seed)["count"] == 0


def test_a_peer_that_answers_as_another_address_is_not_listed(net, seed):
    fake, other = net.fake(), net.fake()
    answer = request(seed.address, "Register", T, address=fake.address,
                     incarnation=other.incarnation + 7)
    assert answer["reachable"] is False
    assert list_of(seed)["count"] == 0


def register_from(source, seed, fake):
    """Registers from another address of this host; the answer, or None."""
    try:
        with Conn(seed.address, timeout=T, source=source) as conn:
            return conn.ask("Register", T, want=4, **fake.who)
    except client.Ended:
        return None


def test_an_address_of_another_host_is_refused(net, seed):
    fake = net.fake(host="127.0.0.2")
    answer = register_from("127.0.0.1", seed, fake)
    assert answer is None or answer["reachable"] is False
    assert list_of(seed)["count"] == 0
    assert not fake.links, "the seed dialed an address it had no reason to dial"


def test_an_address_of_another_host_is_fine_where_that_is_allowed(net):
    seed, = net.start_seeds(1, seed__allow_foreign="yes")
    fake = net.fake(host="127.0.0.2")
    assert register_from("127.0.0.1", seed, fake)["reachable"] is True
    assert list_of(seed)["peers"] == [fake.address]


def test_a_renewal_shows_its_lease_and_keeps_it(net, seed):
    fake = net.fake()
    lease = fake.register(seed.address)["lease"]
    for _ in range(3):
        answer = fake.register(seed.address, lease=lease)
        assert (answer["lease"], answer["reachable"], answer["count"]) == (lease, True, 1)


def test_somebody_who_registers_a_listed_identity_again_learns_no_lease(net, seed):
    fake = net.fake()
    lease = fake.register(seed.address)["lease"]
    for shown in ({}, {"lease": secrets.token_hex(16)}, {"lease": NO_LEASE}):
        answer = request(seed.address, "Register", T, **fake.who, **shown)
        assert (answer["lease"], answer["count"]) == (NO_LEASE, 1)
    assert fake.register(seed.address, lease=lease)["lease"] == lease


def test_a_larger_incarnation_takes_the_place_of_the_smaller(net, seed):
    fake = net.fake()
    old_lease, old = fake.register(seed.address)["lease"], fake.incarnation
    fake.incarnation += 1000
    answer = fake.register(seed.address)
    assert (answer["reachable"], answer["count"]) == (True, 1)
    assert answer["lease"] not in (NO_LEASE, old_lease)
    assert death(seed, fake, "left", incarnation=old, lease=old_lease) == "alive"
    assert list_of(seed)["peers"] == [fake.address]


def test_a_larger_incarnation_that_nobody_answers_for_changes_nothing(net, seed):
    fake = net.fake()
    lease = fake.register(seed.address)["lease"]
    answer = request(seed.address, "Register", T, address=fake.address,
                     incarnation=fake.incarnation + 1)
    assert answer["lease"] == NO_LEASE
    assert list_of(seed)["peers"] == [fake.address]
    assert death(seed, fake, "left", lease=lease) == "removed"


def test_a_smaller_incarnation_is_ignored_while_the_larger_answers(net, seed):
    fake = net.fake()
    lease = fake.register(seed.address)["lease"]
    answer = request(seed.address, "Register", T, address=fake.address,
                     incarnation=fake.incarnation - 1)
    assert answer["lease"] == NO_LEASE
    assert list_of(seed)["peers"] == [fake.address]
    assert death(seed, fake, "left", lease=lease) == "removed"


def test_a_smaller_incarnation_is_listed_when_it_proves_itself(net, seed):
    fake = net.fake()
    fake.register(seed.address)
    newer = fake.incarnation
    fake.incarnation -= 1000  # a clock was set back
    answer = fake.register(seed.address)
    assert (answer["reachable"], answer["count"]) == (True, 1)
    assert answer["lease"] != NO_LEASE
    assert death(seed, fake, "left", incarnation=newer) == "unknown"
    assert death(seed, fake, "left", lease=answer["lease"]) == "removed"


def test_of_two_that_register_at_once_one_is_told_of_the_other(net, seed):
    for _ in range(20):
        pair = net.fake(), net.fake()
        told = {}
        barrier = threading.Barrier(2)

        def join(fake):
            barrier.wait()
            told[fake] = fake.register(seed.address, timeout=T)["peers"]
        threads = [threading.Thread(target=join, args=(fake,)) for fake in pair]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        a, b = pair
        assert a.address in told[b] or b.address in told[a]
        for fake in pair:
            assert death(seed, fake, "left", lease=fake.leases[seed.address]) == "removed"


# --- Get Peer List -----------------------------------------------------------


def test_a_list_has_no_more_than_was_wanted(net, seed):
    fakes = [net.fake() for _ in range(10)]
    for fake in fakes:
        fake.register(seed.address)
    everybody = {fake.address for fake in fakes}
    for want in (0, 1, 5, 10, 1000):
        answer = list_of(seed, want)
        assert answer["count"] == 10
        assert len(answer["peers"]) == len(set(answer["peers"])) == min(want, 10)
        assert set(answer["peers"]) <= everybody
    assert len(fakes[0].register(seed.address, want=3)["peers"]) == 3
    assert fakes[0].register(seed.address, want=0)["peers"] == []
    assert set(fakes[0].register(seed.address)["peers"]) == everybody - {fakes[0].address}


def test_a_sample_leaves_nobody_out(net, seed):
    fakes = [net.fake() for _ in range(24)]
    for fake in fakes:
        fake.register(seed.address)
    count = {fake.address: 0 for fake in fakes}
    with Conn(seed.address, timeout=T) as conn:
        for _ in range(300):
            for address in conn.ask("Get Peer List", want=4)["peers"]:
                count[address] += 1
    # 50 expected, with a standard deviation of 6.5
    assert min(count.values()) > 15 and max(count.values()) < 95, count


def test_several_requests_on_one_connection_are_answered_in_order(net, seed):
    fake = net.fake()
    fake.register(seed.address)
    with Conn(seed.address, timeout=T) as conn:
        asked = []
        for i in range(100):
            asked.append(client.frame(client.message("Liveliness", nonce=i)))
            asked.append(client.frame(client.message("Get Peer List", want=i % 2)))
        conn.send_bytes(b"".join(asked))
        for i in range(100):
            assert conn.recv()["nonce"] == i
            assert len(conn.recv()["peers"]) == i % 2


def test_a_request_may_come_byte_by_byte(net, seed):
    data = client.frame(client.message("Liveliness", nonce=5))
    with Conn(seed.address, timeout=T) as conn:
        for i in range(len(data)):
            conn.send_bytes(data[i:i + 1])
        assert conn.recv()["nonce"] == 5


def test_an_answer_reaches_a_client_that_has_finished_sending(net, seed):
    with Conn(seed.address, timeout=T) as conn:
        conn.send("Get Peer List", want=3)
        conn.finish()
        assert conn.recv()["count"] == 0
        assert conn.ends(T)


# --- Death (R14) -------------------------------------------------------------


def test_the_peer_itself_is_removed_at_once(net, seed):
    fake = net.fake()
    lease = fake.register(seed.address)["lease"]
    assert death(seed, fake, "left", lease=lease, reporter=fake.address) == "removed"
    assert list_of(seed)["count"] == 0
    assert death(seed, fake, "left", lease=lease) == "unknown"


def test_a_run_that_was_never_listed_is_unknown(net, seed):
    listed, other = net.fake(), net.fake()
    listed.register(seed.address)
    for reason in ("left", "silent", "reset", "refused"):
        assert death(seed, other, reason) == "unknown"
    assert death(seed, other, "refused", incarnation=0) == "unknown"
    assert death(seed, listed, "silent", incarnation=listed.incarnation + 1) == "unknown"


def test_the_death_of_an_older_run_is_no_news(net, seed):
    fake = net.fake()
    fake.register(seed.address)
    assert death(seed, fake, "reset", incarnation=fake.incarnation - 1) == "alive"
    assert list_of(seed)["peers"] == [fake.address]


@pytest.mark.parametrize("reason", ["reset", "refused", "silent", "left"])
def test_a_dead_peer_is_removed_within_three_seconds(net, seed, reason):
    dead, alive = net.fake(), net.fake()
    dead.register(seed.address)
    alive.register(seed.address)
    dead.stop()
    assert death(seed, dead, reason) == "verifying"
    assert list_of(seed)["peers"] == [alive.address]  # not handed out meanwhile
    wait_until(lambda: list_of(seed)["count"] == 1, 3, "the dead peer is removed")


def test_a_dialer_that_knows_the_address_alone_may_report_it(net, seed):
    fake = net.fake()
    fake.register(seed.address)
    fake.stop()
    assert death(seed, fake, "refused", incarnation=0) == "verifying"
    wait_until(lambda: list_of(seed)["count"] == 0, 3)


def test_a_peer_that_hangs_is_removed_when_its_time_to_answer_is_over(net):
    seed, = net.start_seeds(1, seed__verify_reply=ms(400))
    fake = net.fake()
    fake.register(seed.address)
    fake.mute = True
    assert death(seed, fake, "silent") == "verifying"
    answer = list_of(seed)
    assert (answer["count"], answer["peers"]) == (1, [])  # it counts, but is not handed out
    wait_until(lambda: list_of(seed)["count"] == 0, 3)


def test_a_successor_on_the_same_address_does_not_save_the_dead_run(net, seed):
    fake = net.fake()
    fake.register(seed.address)
    old, fake.incarnation = fake.incarnation, fake.incarnation + 1000
    assert death(seed, fake, "reset", incarnation=old) == "verifying"
    wait_until(lambda: list_of(seed)["count"] == 0, 3)
    assert fake.register(seed.address)["reachable"] is True


def test_a_living_peer_survives_a_report_and_is_handed_out_again(net, seed):
    fake = net.fake()
    fake.register(seed.address)
    for reason in ("silent", "reset", "refused", "left"):
        assert death(seed, fake, reason) in ("verifying", "alive")
        wait_until(lambda: list_of(seed)["peers"] == [fake.address], 3)


def test_a_seed_with_too_many_checks_waiting_says_busy(net):
    seed, = net.start_seeds(1, seed__max_verify=1, seed__verify_queue=1,
                            seed__verify_reply=ms(1500))
    fakes = [net.fake() for _ in range(4)]
    for fake in fakes:
        fake.register(seed.address)
        fake.mute = True
    verdicts = [death(seed, fake, "silent") for fake in fakes]
    assert verdicts[0] == "verifying" and verdicts[-1] == "busy"
    assert fakes[-1].address in list_of(seed)["peers"]  # as if nothing had been said


def forge(net, seed, victim, total):
    """Every Death a stranger can think of, `total` times in all."""
    address, incarnation = client.identity(victim.address, T)
    who = {"address": address, "incarnation": incarnation}
    learned = request(seed.address, "Register", T, **who)["lease"]
    reporter = client.join_address(net.host, free_port(net.host))
    forged = [{"reason": reason} for reason in ("silent", "reset", "refused", "left")]
    forged += [{"reason": "left", "lease": NO_LEASE}, {"reason": "left", "lease": learned},
               {"reason": "left", "incarnation": 0}, {"reason": "left", "reporter": address},
               {"reason": "refused", "incarnation": 0, "reporter": reporter}]
    verdicts = set()
    with Conn(seed.address, timeout=T) as conn:
        for i in range(total // 10):
            round_ = forged + [{"reason": "left", "lease": secrets.token_hex(16)}]
            for fields in round_:
                conn.send("Death", **{**who, **fields})
            for _ in round_:
                verdicts.add(conn.recv(T)["verdict"])
            answer = conn.ask("Get Peer List", T)
            assert answer["count"] == 2, f"removed in round {i}"
    return verdicts


def test_a_thousand_forged_deaths_do_not_remove_a_living_peer(net, host):
    seed, = net.start_seeds(1)
    victim, other = net.peer(wait=True), net.fake()
    other.register(seed.address)
    wait_until(lambda: list_of(seed)["count"] == 2)
    verdicts = forge(net, seed, victim, 1000)
    assert verdicts <= {"verifying", "alive", "busy"}, verdicts
    wait_until(lambda: set(list_of(seed)["peers"]) == {victim.address, other.address}, 5)
    # and its own word still counts, so its lease was not touched either
    assert victim.ends() == 0
    wait_until(lambda: list_of(seed)["peers"] == [other.address], 1)


def test_a_forged_death_does_not_remove_a_peer_that_joined_a_moment_ago(net, seed):
    for _ in range(10):
        fake = net.fake()
        fake.register(seed.address)
        assert death(seed, fake, "left") in ("verifying", "alive")
    wait_until(lambda: len(list_of(seed)["peers"]) == 10, 5)


# --- leases (R17) ------------------------------------------------------------


def test_a_run_that_is_not_renewed_is_verified_and_stays_while_it_answers(net):
    seed, = net.start_seeds(1, seed__period=ms(200))
    fake = net.fake()
    assert fake.register(seed.address)["period_ms"] == int(200 * SLOW)

    def asked():
        return [link for link in fake.links if link.seen("Liveliness")]
    wait_until(lambda: len(asked()) >= 3, 10, "checked twice after the dial-back")
    assert list_of(seed)["count"] == 1
    fake.stop()
    wait_until(lambda: list_of(seed)["count"] == 0, 8, "gone without anybody's report")


def test_a_run_that_lapsed_is_not_handed_out_while_it_is_verified(net):
    seed, = net.start_seeds(1, seed__period=ms(200), seed__verify_reply=ms(1000))
    fake = net.fake()
    fake.register(seed.address)
    fake.mute = True
    wait_until(lambda: (list_of(seed)["count"], list_of(seed)["peers"]) == (1, []), 5)
    wait_until(lambda: list_of(seed)["count"] == 0, 5)


def test_a_run_that_is_renewed_in_time_is_not_asked_again(net):
    seed, = net.start_seeds(1, seed__period=ms(300))
    fake = net.fake()
    lease = fake.register(seed.address)["lease"]
    end = passed(2 * 0.9 * SLOW)  # two leases
    while not end():
        assert fake.register(seed.address, lease=lease)["lease"] == lease
    assert len(fake.links) == 1  # the dial-back


# --- manners -----------------------------------------------------------------


def took(conn, seconds):
    """How long until the other side ends this connection."""
    start = time.monotonic()
    assert conn.ends(seconds * SLOW), f"still open after {seconds * SLOW} s"
    return time.monotonic() - start


def test_an_idle_connection_ends(net):
    seed, = net.start_seeds(1, seed__idle="400ms")
    with Conn(seed.address) as conn:
        conn.ask("Liveliness", nonce=1)
        assert 0.3 < took(conn, 3)


def test_a_reset_in_the_middle_of_an_answer_does_no_harm(net, seed):
    for _ in range(50):
        conn = Conn(seed.address)
        conn.send("Get Peer List", want=3)
        conn.reset()
    assert list_of(seed)["count"] == 0


def test_a_seed_accepts_no_more_connections_than_it_may(net):
    seed, = net.start_seeds(1, seed__max_connections=8)
    wait_until(lambda: seed.status()["connections"] == 0)
    bystander = Conn(seed.address, timeout=T)
    bystander.ask("Liveliness", nonce=1)
    flood = [Conn(seed.address) for _ in range(30)]
    wait_until(lambda: sum(conn.ends(0.01) for conn in flood) == 23, 3, "all but seven are closed at once")
    assert bystander.ask("Liveliness", nonce=2)["nonce"] == 2
    for conn in flood:
        conn.close()
    assert seed.status()["refused"] == 23
    net.wait_answer(seed)
    bystander.close()


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_seed_out_of_descriptors_lives_and_does_not_spin(net, seed):
    bystander = Conn(seed.address, timeout=T)
    bystander.ask("Liveliness", nonce=1)
    resource.prlimit(seed.pid, resource.RLIMIT_NOFILE, (40, 40))
    flood = [Conn(seed.address) for _ in range(100)]
    before = cpu_seconds(seed.pid)
    holds(lambda: bystander.ask("Liveliness", nonce=2)["nonce"] == 2, 1.0)
    assert cpu_seconds(seed.pid) - before < 0.5
    for conn in flood:
        conn.close()
    net.wait_answer(seed)
    bystander.close()


def test_a_flood_of_connections_leaves_nothing_behind(net, seed):
    net.wait_answer(seed)
    wait_until(lambda: seed.status()["connections"] == 0)
    base = seed.threads(), seed.fds()
    for _ in range(10):
        flood = [Conn(seed.address) for _ in range(100)]
        for i, conn in enumerate(flood):
            if i % 3 == 0:
                conn.send("Get Peer List", want=3)
            (conn.reset if i % 2 else conn.close)()
    wait_until(lambda: (seed.threads(), seed.fds()) <= base, 5)


# --- the program -------------------------------------------------------------


def raw_seed(net, *options, name="seed", **how):
    return net.start([SEED, "-c", str(net.config), "--log-dir", "logs", *options], name, **how)


def test_three_seeds_without_a_name_take_the_three_entries(net, host):
    net.set_up(3)
    seeds = [raw_seed(net) for _ in range(3)]
    wait_until(lambda: all(answers(address) for address in net.seeds))
    logs = net.directory / "logs" / "servers"
    assert {p.name for p in logs.iterdir()} == {f"output_node{i}.log" for i in (1, 2, 3)}
    fourth = raw_seed(net, expect=1)
    assert fourth.wait() == 1
    assert 1 <= len(fourth.err().strip().splitlines()) <= 2
    assert all(seed.running() for seed in seeds)


def answers(address):
    try:
        return request(address, "Liveliness", T, nonce=1)
    except (OSError, client.Ended):
        return None


def test_a_seed_whose_address_is_taken_says_so_and_exits_with_1(net):
    net.set_up(1)
    with socket.create_server(client.split_address(net.seeds[0])):
        seed = raw_seed(net, "node1", expect=1)
        assert seed.wait() == 1
    said = seed.err().strip()
    assert all(part in said for part in map(str, client.split_address(net.seeds[0])))
    assert len(said.splitlines()) == 1


def test_an_unknown_name_is_wrong_usage(net):
    net.set_up(1)
    seed = raw_seed(net, "node7", expect=None)
    assert seed.wait() in (2, 78)
    assert "node7" in seed.err()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_seed_ends_at_once_with_exit_0(net, seed, number):
    fakes = [net.fake() for _ in range(3)]
    for fake in fakes:
        fake.register(seed.address)
    fakes[0].mute = True
    death(seed, fakes[0], "silent")  # a verification under way
    held = [Conn(seed.address) for _ in range(20)]
    held[0].ask("Liveliness", nonce=1)
    assert seed.ends(number) == 0
    assert all(conn.ends(T) for conn in held)


def test_a_seed_may_be_started_again_at_once(net):
    seed, = net.start_seeds(1)
    for _ in range(5):
        with Conn(seed.address) as conn:
            conn.ask("Liveliness", nonce=1)
            assert seed.ends() == 0
        seed = net.seed(0)


STATUS = {"address", "count", "registers", "lists", "deaths", "deaths_confirmed",
          "deaths_refuted", "connections", "refused", "threads", "fds", "rejected"}


def test_sigusr1_writes_a_status_to_the_log(net, seed):
    dead, alive = net.fake(), net.fake()
    for fake in (dead, alive):
        fake.register(seed.address)
    dead.stop()
    for fake in (dead, alive):
        death(seed, fake, "reset")
    list_of(seed)
    wait_until(lambda: list_of(seed)["count"] == 1, 5)
    wait_until(lambda: list_of(seed)["peers"] == [alive.address], 5)
    status = seed.status()
    assert STATUS <= set(status)
    assert status["address"] == seed.address and status["count"] == 1
    assert status["registers"] == 2 and status["deaths"] == 2
    assert status["deaths_confirmed"] == 1 and status["deaths_refuted"] == 1
    assert status["lists"] >= 3 and status["rejected"] == {} or \
        not any(status["rejected"].values())
    assert 1 <= status["threads"] <= 40 and 3 <= status["fds"] <= 40


def talk_a_little(net, seed):
    """Something for the log: a peer joins, is doubted, and leaves."""
    fake = net.fake()
    lease = fake.register(seed.address)["lease"]
    death(seed, fake, "silent")
    wait_until(lambda: list_of(seed)["peers"] == [fake.address], 5)
    death(seed, fake, "left", lease=lease)
    return fake


def test_the_log_has_a_line_for_each_event(net, host):
    seed, = net.start_seeds(1)
    fake = talk_a_little(net, seed)
    assert seed.log_path.name == "output_node1.log"
    wait_until(lambda: seed.log_has(r" in  Death .*left"), 3)
    assert seed.ends() == 0
    lines = seed.log_text().splitlines()
    assert all(LOG_LINE.match(line) for line in lines), lines
    address = fake.address.replace("[", r"\[").replace("]", r"\]").replace(".", r"\.")
    for event in ("--  start ", "in  Register ", "out Peer List ", "in  Death .*silent",
                  "out Death Reply ", "in  Get Peer List ", "--  stop"):
        assert seed.log_has(event), event
    assert seed.log_has(address)


def test_the_log_is_colored_as_the_ancestor_was(net, seed):
    talk_a_little(net, seed)
    wait_until(lambda: seed.log_has("Death Reply"), 3)
    raw = seed.log_text(keep_color=True)
    death_lines = [line for line in raw.splitlines() if " Death " in ANSI.sub("", line)]
    assert death_lines and all("\x1b[31m" in line or "\x1b[0;31m" in line for line in death_lines)
    assert "\x1b[1;32m" in [line for line in raw.splitlines() if "start" in line][0]


@pytest.mark.parametrize("options", [["--no-color"], ["--set", "log.color=never"],
                                     ["--no-color", "--set", "log.color=always"]],
                         ids=["option", "setting", "both"])
def test_the_log_has_no_colors_where_none_are_wanted(net, options):
    net.set_up(1)
    seed = net.seed(0, *options)
    talk_a_little(net, seed)
    wait_until(lambda: seed.log_has("Death Reply"), 3)
    assert "\x1b" not in seed.log_text(keep_color=True)


def test_the_log_may_be_json(net):
    seed, = net.start_seeds(1, log__format="json")
    talk_a_little(net, seed)
    wait_until(lambda: seed.log_has("Death Reply"), 3)
    assert seed.ends() == 0
    raw = seed.log_text(keep_color=True)
    assert "\x1b" not in raw
    assert all(isinstance(json.loads(line), dict) for line in raw.splitlines())


def test_sighup_opens_a_new_log(net, seed):
    talk_a_little(net, seed)
    wait_until(lambda: seed.log_has("Death Reply"), 3)
    moved = seed.log_path.with_suffix(".moved")
    seed.log_path.rename(moved)
    seed.send_signal(signal.SIGHUP)
    wait_until(lambda: list_of(seed) and seed.log_path.exists(), 3)
    assert moved.read_text()
    wait_until(lambda: seed.log_has("Get Peer List"), 3)


def test_a_log_that_grows_is_rotated_once(net):
    seed, = net.start_seeds(1, log__max_size="4K")
    fake = net.fake()
    directory = seed.log_path.parent

    def rotated():
        for _ in range(20):
            fake.register(seed.address)
        return len(list(directory.iterdir())) > 1
    wait_until(rotated, 10, "an older file")
    for _ in range(10):
        rotated()
    wait_until(lambda: len(list(directory.iterdir())) == 2, 3, "never more than one older file")
    assert sum(f.stat().st_size for f in directory.iterdir()) < 24 * 1024


def test_a_full_disk_under_the_log_does_not_end_the_seed(net):
    net.set_up(1)
    path = net.directory / "logs" / "servers"
    path.mkdir(parents=True)
    (path / "output_node1.log").symlink_to("/dev/full")
    if not stat.S_ISCHR(os.stat("/dev/full").st_mode):
        pytest.skip("no /dev/full here")
    seed = net.seed(0)
    for _ in range(50):
        list_of(seed)
    assert seed.running()
    wait_until(lambda: seed.err().strip(), 3, "it says so")
    assert len(seed.err().strip().splitlines()) <= 2


def test_logs_go_to_bin_servers_in_the_current_directory(net):
    net.set_up(1)
    net.start([SEED, "-c", str(net.config), "node1"], "seed")
    wait_until(lambda: (net.directory / "bin" / "servers" / "output_node1.log").exists())


def test_a_seed_that_is_in_no_list_names_its_log_after_its_address(net):
    net.set_up(1)
    port = free_port(net.host)
    raw_seed(net, "--listen", f"127.0.0.1:{port}")
    wait_until(lambda: answers(f"127.0.0.1:{port}"))
    logs = net.directory / "logs" / "servers"
    wait_until(lambda: [p.name for p in logs.iterdir()] == [f"output_127.0.0.1_{port}.log"], 3)


def test_a_service_manager_is_told_when_a_seed_is_ready(net):
    net.set_up(1)
    path = str(net.directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(path)
        s.settimeout(T)
        net.seed(0, env={"NOTIFY_SOCKET": path}, wait=False)
        assert b"READY=1" in s.recv(1000)
    assert answers(net.seeds[0])


# --- both programs: options and configuration --------------------------------


BOTH = pytest.mark.parametrize("program", [daemons.SEED, daemons.PEER], ids=["seed", "peer"])


@BOTH
def test_help_and_version_go_to_stdout_with_exit_0(net, program):
    for option in ("--help", "-h", "--version", "-V"):
        done = net.run(program, option)
        assert done.returncode == 0 and done.stdout.strip() and not done.stderr, option
    assert b"--set" in net.run(program, "--help").stdout


@BOTH
@pytest.mark.parametrize("options", [["--nonsense"], ["--set"], ["-l"],
                                     ["one", "two", "three"]],
                         ids=lambda o: " ".join(o))
def test_wrong_usage_exits_with_2_and_one_line_and_a_hint(net, program, options):
    net.set_up(1)
    done = net.run(program, "-c", str(net.config), *options)
    assert done.returncode == 2, done
    assert not done.stdout
    assert 1 <= len(done.stderr.strip().splitlines()) <= 2


@BOTH
def test_listening_beyond_loopback_is_refused_unless_told_so(net, program):
    net.set_up(1)
    port = free_port("127.0.0.1")
    listen = ["-c", str(net.config), "--log-dir", "logs", "-l", f"0.0.0.0:{port}"]
    done = net.run(program, *listen)
    assert done.returncode == 78
    assert len(done.stderr.strip().splitlines()) == 1
    allowed = net.start([program, *listen, "--set", "security.insecure=yes"], "insecure")
    wait_until(lambda: answers(f"127.0.0.1:{port}"))
    assert allowed.ends() == 0


@BOTH
def test_check_reads_the_configuration_and_exits(net, program):
    net.set_up(2)
    assert net.run(program, "-c", "config.ini", "--check").returncode == 0
    net.config.write_text("[seeds]\nx\n")
    assert net.run(program, "-c", "config.ini", "--check").returncode == 78


@BOTH
def test_an_option_wins_over_the_environment_and_that_over_the_file(net, program):
    net.set_up(1)
    with open(net.config, "a") as f:
        f.write("[overlay]\ndials = 3\nsample = 7\n[liveness]\ninterval = 9s\n")
    done = net.run(program, "-c", "config.ini", "--set", "overlay.dials=2", "--print-config",
                   env={"SEEDPEER_OVERLAY_DIALS": "5", "SEEDPEER_OVERLAY_SAMPLE": "8"})
    assert done.returncode == 0
    said = dict(line.replace(" ", "").split("=", 1) for line in done.stdout.decode().splitlines()
                if "=" in line and not line.startswith(("#", ";")))
    assert (said["dials"], said["sample"], said["interval"]) == ("2", "8", "9s")
    # What is printed can be read again and means the same.
    net.config.write_bytes(done.stdout)
    assert net.run(program, "-c", "config.ini", "--print-config").stdout == done.stdout


@BOTH
def test_a_full_stdout_is_an_error_of_its_own(net, program):
    net.set_up(1)
    with open("/dev/full", "wb") as full:
        done = net.run(program, "-c", "config.ini", "--print-config", stdout=full)
    assert done.returncode in (1, 74)


def test_the_system_tests_run_the_programs_that_were_meant():
    for program in (daemons.SEED, daemons.PEER):
        assert os.access(program, os.X_OK), program
        assert subprocess.run([program, "--version"], capture_output=True).returncode == 0
