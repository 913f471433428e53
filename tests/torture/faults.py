"""Applies the steps of a plan to the world, and undoes what they did when its time is up."""

import heapq
import itertools
import signal
import threading
import time

import attacks


class Faults:
    def __init__(self, world, beat):
        self.world = world
        self.beat = beat       # seconds, see plan.py
        self.todo = []         # heap of (when, number, function)
        self.number = itertools.count()
        self.cut_until = 0.0
        self.attackers = []

    # --- time

    def later(self, seconds, do):
        heapq.heappush(self.todo, (time.monotonic() + seconds, next(self.number), do))

    def do_what_is_due(self):
        while self.todo and self.todo[0][0] <= time.monotonic():
            heapq.heappop(self.todo)[2]()
        self.attackers = [t for t in self.attackers if t.is_alive()]

    def undo_all(self):
        """Nothing more is done to anybody, and everybody is there."""
        while self.todo:
            heapq.heappop(self.todo)[2]()
            time.sleep(0.01)  # some of it waits for the end of a process, and asks again
        for t in self.attackers:
            t.join(120)
            if t.is_alive():
                self.world.problem("the test itself: an attacker does not end")

    # --- steps

    def apply(self, step):
        kind = step.kind
        if kind in attacks.ATTACKS:
            done = self.attack(step)
        else:
            done = getattr(self, kind.replace(",", "").replace(" ", "_").replace("-", ""))(step)
        if done:
            self.world.counts[kind] += 1

    def attack(self, step):
        t = threading.Thread(target=self.world._guarded, daemon=True, args=(
            lambda: attacks.attack(self.world, step.kind, step.chance, self.beat),))
        t.start()
        self.attackers.append(t)
        return True

    def some(self, step, those):
        """As many of them as the step says."""
        return step.chance.sample(those, min(step.count, len(those)))

    def come_back(self, runner, step):
        world, place = self.world, runner.place
        catches_up = step.chance.random() < 0.4

        def start():
            if runner.running():  # it still leaves
                self.later(0.05, start)
            else:
                world.start_peer(place, step.other_port, catches_up)
        self.later(step.beats * self.beat, start)

    def SIGTERM(self, step):
        ready = [r for r in self.world.mortal() if self.world.handles_term(r)]
        for r in self.some(step, ready):
            self.world.terminate(r)
            self.come_back(r, step)
        return ready

    def kill_9(self, step):
        some = self.some(step, self.world.mortal())
        for r in some:
            self.world.kill(r)
            self.world.counts["peers killed"] += 1
            self.come_back(r, step)
        return some

    def stop(self, step, who):
        for w in who:
            self.world.signal(w, signal.SIGSTOP)
            w.stopped = True
            process = w.process

            def go_on(w=w, process=process):
                if w.process is process and w.stopped and w.running():
                    self.world.signal(w, signal.SIGCONT)
                    w.stopped = False
            self.later(step.beats * self.beat, go_on)
        return who

    def _stoppable(self):
        return [w for w in self.world.runners() + self.world.live_seeds() if not w.stopped]

    def stop_short(self, step):
        return self.stop(step, self.some(step, self._stoppable()))

    stop_long = stop_short

    # --- the network

    def cut(self, step, hosts, way):
        if self.world.hosts.why_not or time.monotonic() < self.cut_until:
            return False
        self.world.hosts.cut(hosts, way)
        self.cut_until = time.monotonic() + step.beats * self.beat
        self.later(step.beats * self.beat, self.world.hosts.heal)
        return True

    def _part(self, step, of):
        return step.chance.sample(of, step.chance.randrange(1, len(of) // 2 + 1))

    def cut_both_ways(self, step):
        return self.cut(step, self._part(step, range(self.world.hosts.n)), "both")

    def cut_one_way(self, step):
        way = step.chance.choice(("to", "from"))
        return self.cut(step, self._part(step, range(self.world.hosts.n)), way)

    def cut_seeds_on_one_side(self, step):
        peers = self._part(step, [p.host for p in self.world.places])
        return self.cut(step, peers, "both")

    # --- seeds

    def seed_comes_back(self, seed, step):
        def start():
            if seed.running():
                self.later(0.05, start)
            else:
                self.world.start_seed(seed)
        self.later(step.beats * self.beat, start)

    def seed_SIGTERM(self, step):
        some = self.some(step, [s for s in self.world.live_seeds() if self.world.handles_term(s)])
        for s in some:
            self.world.terminate(s)
            self.seed_comes_back(s, step)
        return some

    def seed_kill_9(self, step):
        some = self.some(step, self.world.live_seeds())
        for s in some:
            self.world.kill(s)
            self.world.counts["seeds killed"] += 1
            self.seed_comes_back(s, step)
        return some

    # --- what they say and print

    def output_unread(self, step):
        some = self.some(step, self.world.runners())
        for r in some:
            r.unread_until = time.monotonic() + step.beats * self.beat
        return some

    def burst(self, step):
        some = self.some(step, [r for r in self.world.runners() if r.sends])
        for r in some:
            r.feed(step.chance.choice((100, 200, 400)))
        return some
