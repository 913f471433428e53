"""What must be true once it is quiet.

A message is owed to a peer if somebody who lives throughout has it: it was published by a
peer that is there now, or delivered to one of those that are never ended. Nothing that
was done to the network excuses its loss, for its holder was never gone. Owed to:

    who lives throughout, and who came later and catches up:   all of these
    who came later and does not catch up:                      what is said when all is quiet

"Twice" is looked for in every peer, also in those that were killed (world.on_line).
"""

import time
from collections import Counter

import client

LINK_THREADS = 2  # a reader and a writer


class Judge:
    def __init__(self, world, slow):
        self.world = world
        self.slow = slow
        self.last = {}  # the same at the last quiet
        self.took = {}  # the longest wait for each condition
        self.base = {}  # what a process holds besides its links, see look()

    def wait(self, condition, seconds, what):
        """True, or a problem that says what is still wrong."""
        begin = time.monotonic()
        deadline = begin + seconds * self.slow
        while True:
            wrong = condition()
            if not wrong:
                self.took[what] = max(self.took.get(what, 0), time.monotonic() - begin)
                return True
            if time.monotonic() > deadline:
                self.world.problem(f"{what}, not within {seconds * self.slow:g} s: {wrong}")
                return False
            self.world.check_unexpected()
            time.sleep(0.2)

    # --- one network

    def _ask(self, ask, address):
        try:
            return ask(address, timeout=5 * self.slow)
        except (OSError, client.Ended, client.Malformed) as e:
            return f"{address}: {e!r}"

    def not_there(self):
        for r in self.world.runners():
            got = self._ask(client.identity, r.address)
            if isinstance(got, str):
                return got
            r.identity = tuple(got)
        lacking = [p.number for p in self.world.places if not p.runner.running()]
        return f"nobody at places {lacking}" if lacking else None

    def not_connected(self):
        edges = {}
        for r in self.world.runners():
            got = self._ask(client.peer_list, r.address)
            if isinstance(got, str):
                return got
            edges[r.address] = got
        reached, todo = set(), [next(iter(edges))]
        while todo:
            at = todo.pop()
            if at not in reached:
                reached.add(at)
                todo += [to for to in edges.get(at, ()) if to in edges]
        return None if len(reached) == len(edges) else f"{len(reached)} of {len(edges)}: {edges}"

    def not_listed(self):
        """A peer is at two of the three seeds within a period; the dead are at none."""
        want, times = {r.address for r in self.world.runners()}, Counter()
        for s in self.world.seeds:
            got = self._ask(client.peer_list, s.address)
            if isinstance(got, str):
                return got
            if set(got) - want:
                return f"seed {s.number + 1} still lists {set(got) - want}"
            times.update(got)
        few = {address for address in want if times[address] < 2}
        return f"not listed by two seeds: {few}" if few else None

    # --- messages

    def unsaid(self):
        for r in self.world.runners():
            if r.sends and (r.pending or r.process.status()["published"] != r.fed):
                return f"{r.name} was given {r.fed} lines, published {r.process.status()}"
        return None

    def owed(self):
        out = {run: set(seqs) for run, seqs in self.world.steady_heard.items()}
        for r in self.world.runners():
            if r.sends:
                out.setdefault(r.identity, set()).update(range(1, r.fed + 1))
        return out

    def missing(self, roll):
        """{runner: {run: seqs}} of what is owed and did not come."""
        out = {}
        with self.world.mu:
            owed = self.owed()
            for r in self.world.runners():
                for run, seqs in (owed if r.place.steady or r.catches_up else roll).items():
                    if run != r.identity and not seqs <= r.heard.get(run, set()):
                        out.setdefault(r, {})[run] = seqs - r.heard.get(run, set())
        return out

    def lost(self, roll):
        missing = self.missing(roll)
        if not missing:
            return None
        lines = []
        for r, runs in missing.items():
            told = [g for g in r.gaps if (g[0], g[1]) in runs]
            for run, seqs in list(runs.items())[:5]:
                lines.append(f"{r.name} at {r.address} misses {len(seqs)} of {run}, "
                             f"{sorted(seqs)[:8]}...; gaps it told of: {told[:5]}")
        return "\n  ".join(lines)

    def count_lost(self, roll):
        with_gaps = 0
        owed = self.owed()
        for r in self.world.steady():
            for origin, incarnation, first, last in r.gaps:
                seqs = owed.get((origin, incarnation), set())
                with_gaps += len(seqs & set(range(first, min(last, first + 100000) + 1)))
        missing = self.missing(roll)
        return sum(len(s) for runs in missing.values() for s in runs.values()), with_gaps

    def roll_call(self):
        """Twenty more lines of everybody who publishes; {run: seqs}."""
        roll = {}
        for r in self.world.runners():
            if r.sends:
                roll[r.identity] = set(range(r.fed + 1, r.fed + 21))
                r.feed(20)
        return roll

    # --- threads and descriptors

    def look(self, least):
        """What every process holds without its links, if that is the least seen of it: a
        conversation may be under way, and a worker lives on for a while after its job."""
        for r in self.world.runners():
            s = r.process.status()
            mine = (s["threads"] - LINK_THREADS * s["neighbors"], s["fds"] - s["neighbors"])
            kind = "publishing peer" if r.sends else "peer"
            least[kind, r.name] = tuple(map(min, least.get((kind, r.name), mine), mine))
        for s in self.world.seeds:
            mine = s.process.threads(), s.process.fds()
            least["seed", s.number] = tuple(map(min, least.get(("seed", s.number), mine), mine))

    def fullest(self, least):
        """{kind: threads and descriptors}"""
        out = {}
        for (kind, _), mine in least.items():
            out[kind] = tuple(map(max, out.get(kind, mine), mine))
        return out

    def measure_base(self):
        least = {}
        end = time.monotonic() + 3 + 10 * (self.slow > 1)
        while time.monotonic() < end:
            self.look(least)
            time.sleep(0.2)
        self.base = self.fullest(least)

    def over_base(self, least):
        self.look(least)
        over = {who: mine for who, mine in least.items()
                if any(a > b for a, b in zip(mine, self.base[who[0]]))}
        return f"(threads, descriptors) at the beginning {self.base}, now {over}" if over else None

    # --- all of it

    def settle(self):
        """Quiet: waits until all is whole, at most so long, and notes what is not."""
        whole = (self.wait(self.not_there, 30, "everybody answers") and
                 self.wait(self.not_connected, 60, "one component") and
                 self.wait(self.not_listed, 60, "seeds list everybody and nobody else") and
                 self.wait(self.unsaid, 60, "publishers have said everything"))
        if not whole:
            return
        roll = self.roll_call()
        self.wait(self.unsaid, 60, "publishers have said everything")
        self.wait(lambda: self.lost(roll), 60, "everybody has what is owed to them")
        time.sleep(1)  # for what might come twice
        lost, gaps = self.count_lost(roll)
        self.world.counts["lost"] += lost
        if gaps:
            self.world.problem(f"{gaps} messages were said to be lost that somebody has")
        if self.base:
            least = {}
            self.wait(lambda: self.over_base(least), 30,
                      "threads and descriptors as at the beginning")
            self.last = self.fullest(least)
