"""Keys: who is a member, and what others see, hear and can do."""

import os
import re
import signal
import socket
import threading
import time

import client
import noise
import pytest
from net import FULL, PEER, SEED, SLOW, free_port, holds, wait_until

BOTH = pytest.mark.parametrize("program", [SEED, PEER], ids=["seed", "peer"])
LONG = pytest.mark.slow if FULL else lambda test: test  # the same with larger numbers
LINES = [b"%04d secret-marker-%04d" % (i, i) for i in range(1000)]


def keyed(net, seeds=1, **settings):
    net.set_up(seeds, **settings)
    net.set_key(key := noise.make_key())
    for i in range(seeds):
        net.seed(i)
    return key


def printed_once(peers, lines, seconds=20):
    want = sorted(lines)
    wait_until(lambda: all(len(p.lines()) >= len(want) for p in peers), seconds, "all lines")
    assert all(sorted(p.lines()) == want for p in peers)


# --- members ---------------------------------------------------------------------


def test_members_hear_each_other(net, host):
    key = keyed(net, 3)
    peers = net.peers(5, "--receive")
    assert net.send(LINES).returncode == 0
    printed_once(peers, LINES)
    assert peers[0].status()["security"] == "keyed"
    listed = net.run(PEER, "-c", "config.ini", *net.options({}), "--list")
    assert all(p.address.encode() in listed.stdout for p in peers)
    ids = noise.key_id(key).hex()
    assert peers[0].log_has(rf"keys .*{ids}")
    assert key not in peers[0].log_text()


def test_a_killed_member_is_missed_and_one_that_leaves_is_not(net):
    keyed(net, 1)
    a, b, c = net.peers(3, "--receive")
    b.kill()
    wait_until(lambda: net.gone(b.address), 5)
    assert a.log_has(rf"lost +{re.escape(b.address)}") or c.log_has(rf"lost +{re.escape(b.address)}")
    assert c.ends() == 0
    wait_until(lambda: net.gone(c.address), 5)


def test_large_messages_pass(net):
    keyed(net, 1)
    peers = net.peers(3, "--receive")
    lines = [b"%03d" % i + b"x" * 60000 for i in range(100)]
    assert net.send(lines).returncode == 0
    printed_once(peers, lines)


# --- strangers -------------------------------------------------------------------


def heard_by(address, data, seconds=3.0):
    """All that the other side says to somebody who sends this and waits for the end."""
    got = b""
    with socket.create_connection(client.split_address(address), seconds) as sock:
        try:
            sock.sendall(data)
            while more := sock.recv(4096):
                got += more
        except ConnectionResetError:
            pass
    return got


def strangers(key, role):
    other = noise.make_key()
    greeting = noise.Handshake(key, role).first()
    wrong = noise.Handshake(other, role).first()
    named = noise.MAGIC + bytes([1, 1, role, 0]) + noise.key_id(key)
    return {
        "a plain peer": client.frame(client.message("Liveliness", nonce=1)),
        "another key": wrong,
        "our id, another key": named + wrong[16:],
        "a flipped bit": greeting[:-1] + bytes([greeting[-1] ^ 1]),
        "noise": os.urandom(512),
        "the other kind": noise.Handshake(key, 3 - role).first(),
        "another version": greeting[:4] + b"\x02" + greeting[5:],
        "a web browser": b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
    }


def test_a_stranger_is_answered_with_nothing(net, host):
    key = keyed(net, 1)
    peer = net.peer(wait=True)
    for address, role in ((net.seeds[0], noise.TO_SEED), (peer.address, noise.TO_PEER)):
        for who, data in strangers(key, role).items():
            assert heard_by(address, data) == b"", who
    counted = peer.status()["rejected"]
    assert counted["key"] == len(strangers(key, 1))
    assert peer.log_has(r"reject .*key: key [0-9a-f]{16} is none of ours")
    assert client.identity(peer.address)[0] == peer.address


def test_a_silent_stranger_is_let_go(net):
    keyed(net, 1, liveness__handshake="300ms")
    peer = net.peer(wait=True)
    for data in (b"", noise.MAGIC, noise.Handshake(noise.make_key(), 1).first()[:40]):
        assert heard_by(peer.address, data) == b""


def crowd(address, n, data):
    """So many strangers, some at a time; how many bytes all of them heard."""
    heard = [0] * 8

    def some(i):
        for _ in range(n // len(heard)):
            heard[i] += len(heard_by(address, data))
    threads = [threading.Thread(target=some, args=(i,)) for i in range(len(heard))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(heard)


def resident_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))


@LONG
def test_a_crowd_of_strangers_harms_nobody(net):
    """20,000 of them in the full suite; 100,000 take five times as long."""
    n = 20_000 if FULL else 4000
    keyed(net, 1)
    peers = net.peers(3, "--receive")
    wrong = noise.Handshake(noise.make_key(), noise.TO_PEER).first()
    assert crowd(peers[0].address, 400, wrong) == 0
    before = resident_kib(peers[0].pid)
    assert crowd(peers[0].address, n, wrong) == 0
    if SLOW == 1:  # a sanitizer keeps what was freed
        assert resident_kib(peers[0].pid) < before + 1024
    assert net.send(LINES).returncode == 0
    printed_once(peers, LINES)


# --- on the path -----------------------------------------------------------------


class Proxy:
    """Passes on what it is sent, and keeps it: [(client's bytes, server's bytes)]."""

    def __init__(self, host):
        self.server = socket.create_server((host, 0), family=socket.AF_INET6
                                           if ":" in host else socket.AF_INET)
        self.address = client.join_address(*self.server.getsockname()[:2])
        self.target = None
        self.seen = []
        self.change = lambda data, forth: data
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near = self.server.accept()[0]
                far = socket.create_connection(client.split_address(self.target), 5)
            except OSError:
                return
            kept = (bytearray(), bytearray())
            self.seen.append(kept)
            for a, b, i in ((near, far, 0), (far, near, 1)):
                threading.Thread(target=self._pass, args=(a, b, kept[i], i == 0),
                                 daemon=True).start()

    def _pass(self, a, b, kept, forth):
        a.settimeout(None)
        try:
            while data := a.recv(65536):
                kept += data
                b.sendall(self.change(data, forth))
            b.shutdown(socket.SHUT_WR)
        except OSError:
            for sock in (a, b):
                sock.close()

    def bytes(self):
        return b"\n".join(bytes(part) for pair in self.seen for part in pair)

    def close(self):
        self.server.close()


@pytest.fixture
def proxies(request):
    made = []

    def make(host):
        made.append(Proxy(host))
        return made[-1]
    yield make
    for proxy in made:
        proxy.close()


@pytest.mark.parametrize("has_key", [True, False], ids=["keyed", "plain"])
def test_on_the_path_nothing_can_be_read(net, host, proxies, has_key):
    """Two peers and a seed that only know each other's proxies. Without a key the proxies see
    it all, so this test can fail."""
    net.set_up(1, overlay__dials="2")
    real = list(net.seeds)
    roads = [proxies(host) for _ in range(3)]
    if has_key:
        net.set_key(noise.make_key())
    roads[0].target = real[0]
    net.config.write_text(f"[seeds]\nnode1 = {roads[0].address}\n")
    net.seed(0, "-l", real[0])
    peers = []
    for road in roads[1:]:
        port = free_port(host)
        road.target = client.join_address(host, port)
        peers.append(net.peer("--receive", "-a", road.address, port=port))
    wait_until(lambda: all(p.try_neighbors() for p in peers), 10, "linked")
    done = net.send(LINES)
    assert done.returncode == 0
    printed_once(peers, LINES)
    seen = b"".join(road.bytes() for road in roads)
    assert len(seen) > 50_000
    found = sum(line[5:] in seen for line in LINES)
    addresses = sum(road.address.encode() in seen for road in roads[1:])
    assert (found, addresses) == ((0, 0) if has_key else (len(LINES), 2))
    assert (b'"type"' in seen) == (not has_key)


def test_a_changed_byte_ends_the_link_and_is_told(net, proxies):
    key = keyed(net, 1)
    peer = net.peer("--receive", wait=True)
    road = proxies("127.0.0.1")
    road.target = peer.address
    flip = threading.Event()

    def change(data, forth):
        if forth and flip.is_set():
            return data[:-1] + bytes([data[-1] ^ 0x10])
        return data
    road.change = change
    sock = socket.create_connection(client.split_address(road.address), 5)
    with client.Conn(sock=noise.Keyed(sock, key, noise.TO_PEER)) as conn:
        assert conn.ask("Liveliness", nonce=3)["nonce"] == 3
        flip.set()
        conn.send("Liveliness", nonce=4)
        assert conn.ends()
    assert peer.status()["rejected"]["malformed"] == 1
    assert peer.log_has("forged record")


@LONG
def test_a_recorded_session_is_worth_nothing(net, proxies):
    """1,000 times in the full suite."""
    keyed(net, 1)
    net.peers(2)
    road = proxies("127.0.0.1")
    road.target = net.seeds[0]
    client.membership.seeds = [*net.seeds, road.address]
    fake = client.message("Register", address="127.0.0.1:9", incarnation=1)
    with client.Conn(road.address) as conn:
        conn.send_bytes(client.frame(fake))
        conn.recv()
    recorded = bytes(road.seen[0][0])
    assert len(recorded) > 64 + len(client.frame(fake))
    before = client.request(net.seeds[0], "Get Peer List", want=1)["count"]
    registers = net.processes[0].status()["registers"]
    for _ in range(1000 if FULL else 100):
        # The answer to the first message of a handshake, which no replay can go on from, and
        # a last record.
        assert len(heard_by(net.seeds[0], recorded)) <= 48 + 20
    status = net.processes[0].status()
    assert status["registers"] == registers
    assert client.request(net.seeds[0], "Get Peer List", want=1)["count"] == before


# --- key files -------------------------------------------------------------------


def write(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@BOTH
def test_a_bad_key_file_is_refused_with_its_reason(net, program):
    net.set_up(1)
    key, d = noise.make_key(), net.directory
    (d / "dir").mkdir(mode=0o700)
    os.mkfifo(d / "pipe", 0o600)
    for path, reason in (
            (write(d / "open", key + "\n", 0o640), "others may read or write it (mode 0640)"),
            (write(d / "empty", ""), "is empty; peer --genkey makes a key"),
            (write(d / "blank", "\n# none\n"), "there is no key in it"),
            (write(d / "short", "secret\n"), "short:1: not a key"),
            (write(d / "twice", f"{key}\n{key}\n"), "twice:2: the same key twice"),
            (write(d / "four", "".join(noise.make_key() + "\n" for _ in range(4))),
             "four:4: more than 3 keys"),
            (write(d / "long", "#" * 5000), "is too long"),
            (str(d / "none"), "No such file"),
            (str(d / "dir"), "is not a file"),
            (str(d / "pipe"), "is not a file")):
        for more in ([], ["--check"]):
            done = net.run(program, "-c", "config.ini", "--set", f"security.key_file={path}", *more)
            text = done.stderr.decode()
            assert (done.returncode, text.count("\n")) == (78, 1), text
            assert reason in text and path in text
            assert key not in text


@BOTH
@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_beyond_loopback_a_key_is_needed(net, program, address):
    net.set_up(1)
    options = ["-c", "config.ini", "-l", address]
    done = net.run(program, *options)
    assert done.returncode == 78
    assert done.stderr.count(b"\n") == 1
    assert b"key_file" in done.stderr and b"--genkey" in done.stderr


def test_a_wildcard_with_a_key_and_without(net):
    net.set_up(1)
    net.set_key(noise.make_key())
    port = free_port("127.0.0.1")
    peer = net.peer("-l", f"0.0.0.0:{port}", "-a", f"127.0.0.1:{port}", port=port)
    wait_until(lambda: peer.log_has(r" start "), 5)
    assert peer.status()["security"] == "keyed"
    assert not peer.log_has("insecure")
    del net.common["security.key_file"]
    port = free_port("127.0.0.1")
    peer = net.peer("-l", f"0.0.0.0:{port}", "-a", f"127.0.0.1:{port}", port=port,
                    settings={"security.insecure": "yes"})
    wait_until(lambda: peer.log_has(r"insecure .*no key"), 5)
    assert peer.status()["security"] == "insecure"


def test_genkey_prints_a_key(net):
    made = {net.run(PEER, "--genkey").stdout for _ in range(3)}
    assert len(made) == 3
    assert all(re.fullmatch(rb"[A-Za-z0-9+/]{43}=\n", key) for key in made)


def test_a_key_is_nowhere_to_be_seen(net):
    key = keyed(net, 1)
    peer = net.peer(wait=True)
    for process in (peer, net.processes[0]):
        process.status()
        shown = process.log_text().encode() + process.out() + process.err().encode()
        for name in ("cmdline", "environ"):
            with open(f"/proc/{process.pid}/{name}", "rb") as file:
                shown += file.read()
        assert key.encode() not in shown
        assert noise.secret_of(key) not in shown
        assert noise.secret_of(key).hex().encode() not in shown


# --- another key -----------------------------------------------------------------


def hup(processes, pattern):
    """SIGHUP to all; each has taken the new keys when its log says so."""
    before = [len(re.findall(pattern, p.log_text(older=True))) for p in processes]
    for p in processes:
        p.send_signal(signal.SIGHUP)
    wait_until(lambda: all(len(re.findall(pattern, p.log_text(older=True))) > n
                           for p, n in zip(processes, before)), 10, "keys read again")


def rotate(net, processes, old, new):
    """As docs/security.md says: add the new one, dial with it, forget the old one."""
    for keys in ((old, new), (new, old), (new,)):
        net.set_key(*keys)
        hup(processes, rf"keys +the first to dial with: {noise.key_id(keys[0]).hex()}")


@LONG
def test_a_key_is_changed_while_all_goes_on(net):
    """20 peers, 3 seeds and ten changes in the full suite."""
    n, seeds, changes = (20, 3, 10) if FULL else (6, 1, 2)
    key = keyed(net, seeds)
    peers = net.peers(n, "--receive")
    source = net.peer("--send", stdin=-1)
    wait_until(source.try_neighbors, 10)
    stop, said = threading.Event(), []

    def talk():
        while not stop.is_set():
            said.append(b"%06d through it all" % len(said))
            source.say(said[-1] + b"\n")
            time.sleep(0.01)
    thread = threading.Thread(target=talk)
    thread.start()
    try:
        for _ in range(changes):
            new = noise.make_key()
            rotate(net, net.processes, key, new)
            wait_until(lambda: renewed(peers, new), 60, "no link under the old key")
            key = new
    finally:
        stop.set()
        thread.join()
    source.popen.stdin.close()
    assert source.wait(20) == 0
    printed_once(peers, said)


def renewed(peers, key):
    """Do all live links have this key?"""
    return all(set(p.status()["keys"]) == {noise.key_id(key).hex()} for p in peers)


def test_who_was_left_out_is_named_by_its_key(net):
    old = keyed(net, 1)
    peers = net.peers(3, "--receive")
    net.set_key(old, name="left")
    lost = net.peer("--receive", wait=True)
    wait_until(lambda: net.connected([*peers, lost]), 10)
    new = noise.make_key()
    rotate(net, [net.processes[0], *peers], old, new)
    pattern = rf"key: key {noise.key_id(old).hex()} is none of ours"
    wait_until(lambda: any(p.log_has(pattern) for p in [net.processes[0], *peers]), 30)
    wait_until(lambda: lost.address not in set().union(*(p.neighbors() for p in peers)), 30)
    assert net.send(LINES).returncode == 0
    printed_once(peers, LINES)
    assert lost.lines() == []


def test_a_bad_file_leaves_the_old_keys(net):
    key = keyed(net, 1)
    peers = net.peers(2, "--receive")
    path = net.directory / "key"
    write(path, "nonsense\n")
    hup(net.processes, r"keys +the old ones stay: .*key:1: not a key")
    write(path, key + "\n", 0o644)
    hup(net.processes, r"keys +the old ones stay: .*others may read")
    write(path, key + "\n")
    hup(net.processes, r"keys +the first to dial with")
    assert net.send(LINES).returncode == 0
    printed_once(peers, LINES)
    assert holds(lambda: net.connected(peers) is not None, 0.3, "still linked") is not False
