"""The fixtures of the system tests are in fixtures.py; tests/hostile shares them."""

from fixtures import *  # noqa: F401,F403
