"""What will happen to the network, and when: a pure function of the random seed.

A step names kinds, counts and times; whom it hits is drawn, with the step's
own numbers, from those that are there to be hit. Times are in `beats`, the time
after which a silent neighbor counts as dead, so that slow builds get the same plan.
"""

import random
from dataclasses import dataclass, field

# kind: how often, relative to the others
WEIGHTS = {
    "SIGTERM": 24,        # one to five peers at once; they come back
    "kill -9": 14,        # one to three
    "stop, short": 8,     # SIGSTOP, and SIGCONT before anybody counts them as dead
    "stop, long": 7,      # and after; also peers that live throughout, and seeds
    "cut, both ways": 4,  # a part of the hosts from all others
    "cut, one way": 4,
    "cut, seeds on one side": 3,
    "seed SIGTERM": 3,
    "seed kill -9": 4,    # one to all
    "output unread": 4,   # nobody reads what a peer prints for a while
    "burst": 6,           # a publisher says hundreds of lines at once
    "garbage": 5,
    "slowloris": 3,
    "flood": 4,           # connections
    "forged Deaths": 4,
    "stranger": 4,        # joins, publishes and is gone
    "black hole": 3,      # joins, answers, and forwards nothing
}


@dataclass
class Step:
    at: float    # seconds
    kind: str
    count: int   # how many it hits, of those that are there
    beats: float  # how long it lasts, or until who ended comes back
    other_port: bool
    chance: random.Random = field(repr=False)


def _count(chance, kind):
    if kind == "SIGTERM":
        return chance.choice((1, 1, 2, 3, 4, 5))
    if kind == "kill -9":
        return chance.choice((1, 1, 2, 3))
    if kind == "seed kill -9":
        return chance.choice((1, 1, 1, 2, 3))
    return chance.choice((1, 1, 2))


def _beats(chance, kind):
    if kind == "stop, short":
        return chance.uniform(0.1, 0.6)
    if kind == "stop, long":
        return chance.uniform(1.3, 3)
    if kind.startswith("cut"):
        return chance.uniform(0.5, 3)
    return chance.choice((0, chance.uniform(0, 0.5), chance.uniform(0, 2)))


def steps(seed, seconds, interval):
    """One about every `interval` seconds."""
    chance = random.Random(f"torture {seed}")
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    out, at = [], interval
    while at < seconds:
        kind = chance.choices(kinds, weights)[0]
        out.append(Step(at, kind, _count(chance, kind), _beats(chance, kind),
                        chance.random() < 0.5, random.Random(chance.random())))
        at += chance.expovariate(1 / interval)
    return out
