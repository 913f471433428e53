"""The programs that measure a seed: that they do what they say, not how fast."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from client import request
from net import free_port, wait_until

BENCH = Path(__file__).resolve().parent.parent / "bench"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    where = tmp_path_factory.mktemp("bench")
    for name in ("bare_seed", "seed_load"):
        subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-O1", "-pthread",
                        "-o", where / name, BENCH / f"{name}.c"], check=True)
    return where


def load(built, mode, address, runs=3):
    out = subprocess.check_output([built / "seed_load", mode, address, "0.2",
                                   str(free_port("127.0.0.1")), "1", str(runs)], timeout=60,
                                  stderr=subprocess.DEVNULL)
    figures = json.loads(out)
    assert figures["mode"] == mode and figures["errors"] == 0
    assert (figures["per_s"] > 0) == (mode != "fill")
    return figures


def listed(seed):
    return request(seed.address, "Get Peer List", 10)["count"]


def test_the_load_registers_renews_and_asks(net, built):
    seed, = net.start_seeds(1)
    load(built, "fill", seed.address)
    assert listed(seed) == 3
    load(built, "list", seed.address, 4)
    load(built, "renew", seed.address, 4)
    before = listed(seed)
    load(built, "join", seed.address, 4)
    assert listed(seed) > before + 4
    assert seed.status()["rejected"]["unreachable"] == 0


def answers(address):
    try:
        return request(address, "Get Peer List", 10)["count"] > 0
    except ConnectionRefusedError:
        return False


def test_the_bare_server_answers_the_same_load(built):
    port = free_port("127.0.0.1")
    with subprocess.Popen([built / "bare_seed", str(port)]) as bare:
        try:
            wait_until(lambda: answers(f"127.0.0.1:{port}"), what="it answers")
            for mode in ("fill", "renew", "join", "list"):
                load(built, mode, f"127.0.0.1:{port}")
            assert bare.poll() is None
        finally:
            bare.terminate()
