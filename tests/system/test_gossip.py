"""Messages: published, spread, delivered once, and asked for again."""

import base64
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import threading

import client
import pytest
from net import FULL, PEER, SLOW, free_port, holds, wait_until

T = 5 * SLOW  # for one answer
PIPE = subprocess.PIPE


def awkward_lines(n):
    """n different lines, with everything among them that could be spoiled."""
    lines = [
        "gr\u00fc\u00df dich, \u4f60\u597d, \u05e9\u05dc\u05d5\u05dd, \U0001f600 e\u0301".encode(),
        b"\"quotes\" and 'quotes' and \\backslashes\\ \\n \\u0041 \\",
        b"\ttabs\tin\t\tit\t",
        b"  spaces around  ",
        b"a carriage\rreturn, and one at the end\r",
        b"\x1b[31mred\x1b[0m \x07\x08\x0b\x0c\x01\x1f\x7f",
        b"not UTF-8: \xff\xfe\x80\xc3(\xed\xa0\x80\xf8",
        b"a NUL \0 in the middle",
        bytes(b for b in range(256) if b != 10),
        b'{"type":"Message","data":"no message"}',
        b"<html>&amp;%s%n%d ${HOME} `true`",
        b"",
        b"x" * 65536,
        b'"' * 65536,
        b"\xff" * 65536,
        "\u20ac".encode() * 21845,
    ]
    return lines + [b"line %d of many" % i for i in range(n - len(lines))]


def possible_ids(o, data):
    """The ids of a message with these bytes: as base64 and, if it can be, as text."""
    fields = {"origin": o["origin"], "incarnation": o["incarnation"], "seq": o["seq"],
              "time": o["time_ms"]}
    forms = [{"data": base64.b64encode(data).decode(), "encoding": "base64"}]
    try:
        forms.append({"data": data.decode()})
    except UnicodeDecodeError:
        pass
    return [client.message_id(client.encode(client.message("Message", **fields, **form)))
            for form in forms]


def wait_lines(peers, n, seconds=15):
    wait_until(lambda: all(len(p.lines()) >= n for p in peers), seconds,
               f"{n} lines at each of {len(peers)} receivers")


def receivers(net, n, *options, **how):
    return net.peers(n, "--receive", *options, **how)


# --- from one to all ---------------------------------------------------------


def test_each_of_nine_receivers_prints_each_of_three_hundred_lines_once(net, host):
    net.start_seeds(3)
    peers = [net.peer("--receive") for _ in range(8)] + [net.peer("--receive", "--json")]
    net.wait_connected(peers)
    lines = awkward_lines(300)
    done = net.send(lines)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b""
    wait_lines(peers, 300)
    holds(lambda: all(len(p.lines()) == 300 for p in peers), 0.3)
    for p in peers[:8]:
        assert sorted(p.lines()) == sorted(lines)

    objects = [json.loads(line) for line in peers[8].lines()]
    assert len({(o["origin"], o["incarnation"]) for o in objects}) == 1
    assert sorted(o["seq"] for o in objects) == list(range(1, 301))
    for o in objects:
        data = lines[o["seq"] - 1]
        coded = o.get("encoding")
        assert coded in (None, "base64")
        assert (base64.b64decode(o["data"]) if coded else o["data"].encode()) == data
        assert 0 <= o["hops"] <= 8
        assert o["id"] in possible_ids(o, data)
        assert list(o)[:7] == ["id", "origin", "incarnation", "seq", "time_ms", "hops", "data"]


def test_three_publishers_at_once_are_all_heard(net):
    net.start_seeds(3)
    peers = receivers(net, 4)
    done = []

    def publish(i):
        done.append(net.send([b"%d says %d" % (i, j) for j in range(200)]))
    threads = [threading.Thread(target=publish, args=(i,)) for i in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [d.returncode for d in done] == [0, 0, 0], done
    wait_lines(peers, 600)
    want = sorted(b"%d says %d" % (i, j) for i in range(3) for j in range(200))
    assert all(sorted(p.lines()) == want for p in peers)


def many_lines(net, n):
    net.start_seeds(3)
    peers = receivers(net, 3)
    lines = [b"%08d " % i + b"abcdefghi " * 9 + b"." for i in range(n)]
    assert len(lines[0]) == 100
    done = net.send(lines, timeout=120)
    assert done.returncode == 0, done.stderr
    wait_lines(peers, n, 30)
    for p in peers:
        same = sorted(p.lines()) == lines  # a diff of long lists takes minutes
        assert same


def test_twenty_thousand_lines_and_exit_all_arrive(net):
    many_lines(net, 20_000)


@pytest.mark.slow
def test_two_hundred_thousand_lines_and_exit_all_arrive(net):
    many_lines(net, 200_000)


def test_a_message_of_a_megabyte_travels_where_that_is_allowed(net):
    net.start_seeds(1, gossip__max_data="1M")
    peers = receivers(net, 3)
    noise = random.Random(7).randbytes(1 << 20).replace(b"\n", b"\0")
    lines = [b"m" * (1 << 20), b"\\" * (1 << 20), noise]
    assert net.send(lines).returncode == 0
    wait_lines(peers, 3)
    assert all(sorted(p.lines()) == sorted(lines) for p in peers)


def test_a_line_is_delivered_while_stdin_stays_open(net, host):
    net.start_seeds(1)
    sender, receiver = net.peer("--send", stdin=PIPE), net.peer("--receive")
    net.wait_connected([sender, receiver])
    for i in range(3):
        sender.say(f"number {i}\n")
        wait_until(lambda: len(receiver.lines()) == i + 1, 2)
    sender.say("without a newline")
    sender.popen.stdin.close()
    assert sender.wait() == 0
    wait_until(lambda: receiver.lines()[3:] == [b"without a newline"], 2)


def test_send_and_receive_together_are_a_two_way_pipe(net, host):
    net.start_seeds(1)
    a, b = (net.peer("--send", "--receive", stdin=PIPE) for _ in range(2))
    net.wait_connected([a, b])
    a.say("from a\n")
    b.say("from b\n")
    wait_until(lambda: (a.lines(), b.lines()) == ([b"from b"], [b"from a"]), 5)
    a.popen.stdin.close()  # ends its publishing only
    b.say("more from b\n")
    wait_until(lambda: a.lines() == [b"from b", b"more from b"], 5)
    assert a.running()


def test_a_receiver_does_not_read_its_stdin(net):
    net.start_seeds(1)
    a = net.peer("--receive", stdin=PIPE)
    b = net.peer("--receive")
    net.wait_connected([a, b])
    a.say("3\nexit\nsend x\n")
    a.popen.stdin.close()
    assert net.send([b"y"]).returncode == 0
    wait_lines([a, b], 1)
    assert a.lines() == b.lines() == [b"y"]


# --- --send ------------------------------------------------------------------


def test_send_waits_for_a_neighbor(net):
    net.start_seeds(1)
    sender = net.peer("--send", "--wait", "60", stdin=PIPE)
    sender.say("early\n")
    sender.popen.stdin.close()
    net.wait_answer(sender)
    receiver = net.peer("--receive")
    assert sender.wait(15) == 0
    wait_until(lambda: receiver.lines() == [b"early"], 5)


def test_send_without_a_neighbor_exits_with_69_and_counts_what_is_left(net):
    net.start_seeds(1)
    done = net.send([b"one", b"two", b"three"], "--wait", "1")
    assert done.returncode == 69
    assert re.search(rb"\b3\b", done.stderr)
    assert not done.stdout


def test_send_without_a_seed_exits_with_69(net):
    net.set_up(3)
    assert net.send([b"one"], "--wait", "1").returncode == 69


def test_send_that_is_interrupted_exits_with_1_and_counts_what_is_left(net):
    net.start_seeds(1)
    sender = net.peer("--send", "--wait", "60", stdin=PIPE, wait=True, expect=1)
    sender.say("a\nb\nc\nd\ne\n")
    sender.popen.stdin.close()
    wait_until(lambda: net.listed(0), 5)
    assert sender.ends(signal.SIGINT) == 1
    assert re.search(r"\b5\b", sender.err())


def test_send_of_nothing_is_fine(net):
    net.start_seeds(1)
    receivers(net, 1)
    assert net.send([]).returncode == 0


def test_a_line_that_is_too_long_is_refused_and_not_cut(net):
    net.start_seeds(1)
    peer, = receivers(net, 1)
    done = net.send([b"before", b"x" * 65537, b"y" * 3_000_000, b"after"])
    assert done.returncode == 1
    assert re.search(rb"\b2\b|line 2", done.stderr), done.stderr
    wait_lines([peer], 2)
    assert peer.lines() == [b"before", b"after"]


# --- --receive ---------------------------------------------------------------


def test_count_ends_a_receiver_after_so_many_lines(net, host):
    net.start_seeds(1)
    counting, other = net.peer("--receive", "--count", "5"), net.peer("--receive")
    net.wait_connected([counting, other])
    fake = net.fake()
    link, leaving = [fake.link(p.address, T) for p in (other, counting)]
    for i in range(20):
        said = client.frame(fake.next_message(f"number {i}"))
        link.send_bytes(said)
        with contextlib.suppress(client.Ended):  # its Bye may come in between
            leaving.send_bytes(said)
    assert counting.wait() == 0
    assert len(counting.lines()) == 5
    wait_lines([other], 20)


def test_a_receiver_whose_pipe_closes_ends_quietly(net):
    net.start_seeds(1)
    read, write = os.pipe()
    peer = net.peer("--receive", stdout=write)
    os.close(write)
    head = subprocess.Popen(["head", "-1"], stdin=read, stdout=PIPE)
    os.close(read)
    other = net.peer("--receive")
    net.wait_connected([peer, other])
    assert net.send([b"first"]).returncode == 0
    assert head.communicate(timeout=T)[0] == b"first\n"
    assert net.send([b"second", b"third"]).returncode == 0
    assert peer.wait(5) == 0
    assert peer.err() == ""


def test_a_receiver_that_cannot_write_exits_with_74(net):
    net.start_seeds(1)
    with open("/dev/full", "wb") as full:
        peer = net.peer("--receive", stdout=full, expect=74)
    other = net.peer("--receive")
    net.wait_connected([peer, other])
    net.send([b"one", b"two"])
    assert peer.wait(5) == 74
    assert peer.err().strip()


def test_a_stdin_that_cannot_be_read_is_not_taken_for_its_end(net):
    net.start_seeds(1)
    net.peers(2)
    directory = os.open(net.directory, os.O_RDONLY)
    try:
        sender = net.peer("--send", stdin=directory, expect=1)
        assert sender.wait(10) == 1
    finally:
        os.close(directory)
    assert "cannot read stdin" in sender.err()


def test_a_newline_inside_a_message_does_not_make_two_lines(net):
    net.start_seeds(1)
    peer, = receivers(net, 1)
    fake = net.fake()
    link = fake.link(peer.address, T)
    link.send_bytes(client.frame(fake.next_message("two\nlines")))
    link.send_bytes(client.frame(fake.next_message("one line")))
    wait_lines([peer], 2)
    assert peer.lines() == [b"two\\nlines", b"one line"]


def test_a_terminal_gets_messages_escaped(net, terminal):
    net.start_seeds(1)
    address = client.join_address(net.host, free_port(net.host))
    t = terminal(PEER, "-c", str(net.config), "-l", address, "--receive")
    t.process.address = address
    net.wait_answer(t.process)
    fake = net.fake()
    link = fake.link(address, T)
    link.send_bytes(client.frame(fake.next_message("clear \x1b[2J the \u4f60 screen")))
    t.wait(r"clear \S+\[2J the \u4f60 screen")
    assert b"\x1b[2J" not in t.screen


def stalled(net, seconds, n):
    """A receiver whose stdout nobody reads for a while."""
    net.start_seeds(3)
    read, write = os.pipe()
    slow = net.peer("--receive", stdout=write)
    os.close(write)
    others = [net.peer("--receive") for _ in range(2)]
    net.wait_connected([slow, *others])
    lines = [b"%07d " % i + b"z" * 92 for i in range(n)]
    done = net.send(lines, timeout=60)
    assert done.returncode == 0, done.stderr
    wait_lines(others, n, 30)
    holds(lambda: all(slow.address in p.neighbors() for p in others), seconds)
    got = bytearray()
    reading = threading.Thread(target=drain, args=(read, got), daemon=True)
    reading.start()
    try:
        wait_until(lambda: got.count(b"\n") >= n, 30)
    except AssertionError:
        printed = got.count(b"\n")
        raise AssertionError(f"{printed} of {n} lines printed: {slow.status()}") from None
    same = sorted(got.split(b"\n")[:-1]) == lines  # pytest would compare for minutes
    assert same
    assert slow.ends() == 0
    reading.join(T)


def drain(fd, into):
    while True:
        more = os.read(fd, 1 << 20)
        if not more:
            break
        into += more
    os.close(fd)


def test_a_receiver_that_nobody_reads_stays_a_neighbor_and_loses_nothing(net):
    stalled(net, 3, 20_000)


@pytest.mark.slow
def test_a_receiver_that_nobody_reads_for_a_minute_loses_nothing(net):
    stalled(net, 60, 60_000)


def test_a_receiver_that_nobody_reads_can_still_leave(net):
    net.start_seeds(1)
    read, write = os.pipe()
    slow = net.peer("--receive", stdout=write, expect=None)
    os.close(write)
    other = net.peer("--receive")
    net.wait_connected([slow, other])
    assert net.send([b"z" * 1000] * 1000).returncode == 0
    wait_lines([other], 1000)
    slow.send_signal(signal.SIGTERM)
    assert slow.wait(3) in (0, 74)
    os.close(read)
    assert net.listed(0) == {other.address}


# --- --list ------------------------------------------------------------------


def test_list_asks_every_seed(net, host):
    net.set_up(3)
    net.seed(0)
    net.seed(2)
    peers = net.peers(2)
    everybody = {p.address for p in peers}
    wait_until(lambda: net.listed(0) == net.listed(2) == everybody, 5)
    options = ["-c", str(net.config), "--list"]
    done = net.run(PEER, *options, "--json")
    assert done.returncode == 0
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert [o["seed"] for o in objects] == ["node1", "node2", "node3"]
    assert [o["address"] for o in objects] == net.seeds
    assert [o["up"] for o in objects] == [True, False, True]
    for o in (objects[0], objects[2]):
        assert o["count"] == 2 and set(o["peers"]) == everybody
    text = net.run(PEER, *options)
    assert text.returncode == 0
    for address in [*everybody, *net.seeds]:
        assert address in text.stdout.decode()
    assert net.listed(0) == everybody  # asking lists nobody


def test_list_exits_with_69_when_no_seed_answers(net):
    net.set_up(3)
    done = net.run(PEER, "-c", str(net.config), "--list")
    assert done.returncode == 69


# --- once and never again (R8) -----------------------------------------------


def test_copies_are_never_printed(net):
    net.start_seeds(1)
    peer, = receivers(net, 1)
    a, b = net.fake(), net.fake()
    links = a.link(peer.address, T), b.link(peer.address, T)
    messages = [client.frame(a.next_message(f"text {i}")) for i in range(20)]
    for _ in range(10):
        for link in links:
            link.send_bytes(b"".join(messages))
    for link in links:
        link.ping(T)
    wait_lines([peer], 20)
    assert peer.lines() == [b"text %d" % i for i in range(20)]
    status = peer.status()
    assert (status["delivered"], status["duplicates"]) == (20, 380)


def test_copies_of_what_is_no_longer_held_are_recognized(net):
    net.start_seeds(1)
    peer = net.peer("--receive", settings={"gossip.store_messages": "8"},
                    wait=True)
    fake = net.fake()
    link = fake.link(peer.address, T)
    messages = [client.frame(fake.next_message(f"text {i}")) for i in range(200)]
    for _ in range(2):
        link.send_bytes(b"".join(messages))
        link.ping(T)
    wait_lines([peer], 200)
    holds(lambda: len(peer.lines()) == 200, 0.2)
    assert peer.status()["store_messages"] <= 8


def test_another_message_under_a_name_that_is_taken_is_dropped(net):
    net.start_seeds(1)
    peer, = receivers(net, 1)
    a, b = net.fake(), net.fake()
    source, sink = a.link(peer.address, T), b.link(peer.address, T)
    said = a.next_message("true")
    source.send_bytes(client.frame(said))
    source.send_bytes(client.frame({**said, "data": "forged"}))
    source.ping(T)
    wait_lines([peer], 1)
    assert peer.status()["conflicts"] == 1
    assert peer.lines() == [b"true"]
    assert [got["data"] for got in sink.seen("Message")] == ["true"]


def test_messages_out_of_order_are_all_printed_once(net):
    net.start_seeds(1)
    peer, = receivers(net, 1)
    fake = net.fake()
    link = fake.link(peer.address, T)
    messages = [client.frame(fake.next_message(f"text {i}")) for i in range(100)]
    shuffled = messages[:]
    random.Random(3).shuffle(shuffled)
    link.send_bytes(b"".join(shuffled + messages))
    link.ping(T)
    wait_lines([peer], 100)
    assert sorted(peer.lines()) == sorted(b"text %d" % i for i in range(100))


def test_runs_of_one_address_are_told_apart(net):
    net.start_seeds(1)
    peer, = receivers(net, 1)
    fake = net.fake()
    link = fake.link(peer.address, T)
    for incarnation in (1000, 2000, 1500):
        fake.incarnation, fake.seq = incarnation, 0
        link.send_bytes(client.frame(fake.next_message(f"run {incarnation}")))
    wait_lines([peer], 3)
    assert peer.lines() == [b"run 1000", b"run 2000", b"run 1500"]


def test_a_message_is_not_sent_back_and_goes_to_everybody_else_once(net):
    net.start_seeds(1)
    peer = net.peer(wait=True)
    fakes = [net.fake() for _ in range(5)]
    links = [fake.link(peer.address, T) for fake in fakes]
    links[0].send_bytes(client.frame(fakes[0].next_message("x")))
    for link in links[1:]:
        link.wait("Message", T)
    for link in links:
        link.ping(T)
        assert not link.seen("Message")


def test_a_body_is_forwarded_byte_for_byte(net):
    net.start_seeds(1)
    peers = net.peers(3, "--receive")
    a, b = net.fake(), net.fake()
    source, sink = a.link(peers[0].address, T), b.link(peers[1].address, T)
    body = (b'{ "data" : "h\\u00e9llo \\/", "x":[1, {"y":null}],\n "seq":1.0e0, "time":1,'
            b'"type":"Message", "incarnation":5, "origin":"127.0.0.1:6001" }')
    source.send_bytes(client.frame(body))
    assert sink.wait("Message", T).body == body
    wait_lines(peers, 1)
    assert all(p.lines() == ["h\u00e9llo /".encode()] for p in peers)


@pytest.mark.parametrize("flags, hops, then", [(0, 0, 1), (client.SPREAD, 0, 1), (0, 7, 8),
                                               (client.SPREAD, 254, 255), (0, 255, 255)])
def test_hops_count_up_and_the_spread_flag_stays(net, flags, hops, then):
    net.start_seeds(1)
    peer = net.peer(wait=True)
    a, b = net.fake(), net.fake()
    source, sink = a.link(peer.address, T), b.link(peer.address, T)
    source.send_bytes(client.frame(a.next_message("x"), flags, hops))
    got = sink.wait("Message", T)
    assert (got.flags, got.hops) == (flags, then)


def test_the_first_message_of_a_run_is_marked_to_be_spread(net):
    net.start_seeds(1)
    peer = net.peer("--send", stdin=PIPE, wait=True)
    link = net.fake().link(peer.address, T)
    peer.say("one\ntwo\n")
    assert link.wait("Message", T).flags == client.SPREAD
    assert link.wait("Message", T).flags == 0


# --- getData (R11) -----------------------------------------------------------


def stored(net, n):
    """A peer that holds n messages of one run. Returns (link, their frames)."""
    net.start_seeds(1)
    peer = net.peer(wait=True)
    origin, asker = net.fake(), net.fake()
    source, link = origin.link(peer.address, T), asker.link(peer.address, T)
    for i in range(n):
        source.send_bytes(client.frame(origin.next_message(f"text {i + 1}"), client.SPREAD))
    return origin, link, [link.wait("Message", T) for _ in range(n)]


def test_a_message_is_sent_again_to_a_neighbor_that_asks_by_id(net, host):
    _, link, held = stored(net, 5)
    for want in reversed(held):
        link.send("getData", id=want.id)
        got = link.wait("Message", T)
        assert (got.id, got.body) == (want.id, want.body)
        assert got.flags == client.RECOVERY


def test_an_id_that_is_not_held_is_answered_with_not_found(net):
    _, link, _ = stored(net, 1)
    nobody = "0123456789abcdef" * 2
    link.send("getData", id=nobody)
    got = link.wait("Not Found", T)
    assert got["id"] == nobody and "ranges" not in got.fields


def test_ranges_are_answered_and_the_rest_is_not_found(net):
    origin, link, held = stored(net, 5)
    run = [origin.address, origin.incarnation]
    link.send("getData", ranges=[[*run, 2, 3], [*run, 5, 9], ["127.0.0.1:9", 1, 1, 2]])
    got = [link.wait("Message", T) for _ in range(3)]
    assert sorted(f["seq"] for f in got) == [2, 3, 5]
    assert all(f.flags == client.RECOVERY for f in got)
    missing = []

    def all_said():
        for f in list(link.frames):
            if f.type == "Not Found":
                link.frames.remove(f)
                missing.extend(f["ranges"])
        return sorted(missing) == sorted([[*run, 6, 9], ["127.0.0.1:9", 1, 1, 2]])
    wait_until(all_said, 5)


def test_a_range_of_any_width_is_answered_at_once(net):
    origin, link, _ = stored(net, 3)
    link.send("getData", ranges=[[origin.address, origin.incarnation, 1, (1 << 53) - 1]] * 50)
    link.ping(2 * SLOW)
    link.wait("Message", T)


def test_the_publisher_itself_answers_for_its_own_messages(net):
    net.start_seeds(1)
    peer = net.peer("--send", stdin=PIPE, wait=True)
    link = net.fake().link(peer.address, T)
    peer.say("mine\n")
    first = link.wait("Message", T)
    link.send("getData", id=first.id)
    again = link.wait("Message", T)
    assert again.body == first.body and again.flags == client.RECOVERY


@pytest.mark.parametrize("kind, fields", [
    ("Have", {"ranges": [["127.0.0.1:9", 1, 1, 1 << 52]], "all": True}),
    ("Have", {"ranges": []}), ("Graft", {"runs": [], "all": True}),
    ("Graft", {"runs": [["127.0.0.1:9", 1]]}), ("Prune", {"runs": [["127.0.0.1:9", 1]]}),
    ("Not Found", {"id": "0" * 32}), ("Not Found", {"ranges": [["127.0.0.1:9", 1, 1, 9]]})])
def test_what_later_versions_say_does_no_harm(net, kind, fields):
    net.start_seeds(1)
    peer = net.peer(wait=True)
    link = net.fake().link(peer.address, T)
    link.send(kind, **fields)
    link.ping(T)
    assert len(peer.neighbors()) == 1


# --- those who do not keep up ------------------------------------------------


def test_a_neighbor_that_does_not_read_holds_up_nobody(net):
    net.start_seeds(1)
    peers = receivers(net, 3)
    deaf = [client.Conn(p.address, timeout=T) for p in peers]
    for i, conn in enumerate(deaf):
        fake = net.fake()
        asked = {**fake.who, "neighbors": 4}
        assert conn.ask("Peer Request", T, **asked)["verdict"] == "accepted"
    n = 150_000 if FULL else 20_000
    lines = [b"%07d " % i + b"q" * 492 for i in range(n)]
    done = net.send(lines, timeout=90)
    assert done.returncode == 0, done.stderr
    wait_lines(peers, n, 30)
    for p in peers:
        same = sorted(p.lines()) == lines  # a diff of long lists takes minutes
        assert same
    for conn in deaf:
        conn.close()
