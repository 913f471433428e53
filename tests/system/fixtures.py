"""Fixtures and hooks of the system tests and the hostile ones, to be imported into a
conftest.py; what they hand out is in net.py and client.py."""

import faulthandler
import os
import pty
import signal
import sys

import pytest

import net as daemons


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: runs only with SEEDPEER_FULL=1")


def pytest_collection_modifyitems(items):
    if daemons.FULL:
        return
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.skip(reason="long; SEEDPEER_FULL=1 runs it"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


@pytest.fixture(autouse=True)
def guard(request):
    """No test hangs: after two minutes (ten for a long one) it fails where it stands."""
    def ring(*_):
        faulthandler.dump_traceback(sys.stderr)
        raise TimeoutError("this test takes too long")
    seconds = 600 if request.node.get_closest_marker("slow") else 120
    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(int(seconds * daemons.SLOW))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(params=["127.0.0.1", "::1"], ids=["v4", "v6"])
def host(request):
    """A test that names this fixture runs once on each."""
    if request.param == "::1" and not daemons.has_ipv6():
        pytest.skip("no IPv6 here")
    return request.param


@pytest.fixture
def net(request, tmp_path):
    """Daemons on the test's `host`, or on 127.0.0.1."""
    on = request.getfixturevalue("host") if "host" in request.fixturenames else "127.0.0.1"
    n = daemons.Net(on, tmp_path)
    yield n
    problems = n.close()
    called = getattr(request.node, "report_call", None)
    if problems or (called and called.failed):
        print(n.tails())
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture
def seed(net):
    """One seed with the default settings."""
    return net.start_seeds(1)[0]


@pytest.fixture
def terminal(net):
    """terminal(program, option, ...) starts a daemon on a pseudo terminal."""
    try:
        for fd in pty.openpty():
            os.close(fd)
    except OSError as error:
        pytest.skip(f"no pseudo terminals here ({error}); is /dev/pts mounted?")
    open_ones = []

    def start(*argv):
        t = daemons.Terminal(net, list(argv), "terminal")
        open_ones.append(t)
        return t
    yield start
    problems = net.close()
    for t in open_ones:
        screen = t.read()
        t.close()
        assert not daemons.REPORT.search(screen), screen
    assert not problems
