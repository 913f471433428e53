"""Fixtures of the hostile tests, and the summary at the end of their run.

Real daemons are started and stopped by what the system tests use for that."""

import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parent.parent / "system"))

import net as daemons  # noqa: E402
import pytest  # noqa: E402
import tally  # noqa: E402
from fixtures import *  # noqa: E402,F401,F403
from town import Town  # noqa: E402


class Street:
    """The town the quiet cases share: building one costs more than they do. One that did not
    survive a test is not shown to the next."""

    def __init__(self, factory):
        self.factory = factory
        self.town = None

    def enter(self):
        if self.town is None:
            self.town = Town(daemons.Net("127.0.0.1", self.factory.mktemp("town")))
        return self.town

    def leave(self):
        town, self.town = self.town, None
        return town.net.close() if town else []


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    s = Street(tmp_path_factory)
    yield s
    problems = s.leave()
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture
def town(request, street):
    """A seed and three honest peers, shared with the other tests of the file."""
    t = street.enter()
    yield t
    called = getattr(request.node, "report_call", None)
    if not t.alive() or called and called.failed:
        print(t.net.tails())
        problems = street.leave()
        if problems:
            pytest.fail("\n".join(problems), pytrace=False)


@pytest.fixture
def build(net):
    """build(section__key=value, ...): a town of its own, with these settings."""
    return lambda **settings: Town(net, **settings)


def pytest_terminal_summary(terminalreporter):
    tally.report(terminalreporter)
