#!/usr/bin/env python3
"""The benchmark: all networks in turns, one table. scripts/bench.sh builds what
this needs and calls it.

usage: bench.py --bin DIR --yards DIR [OPTION]...
  --bin DIR         bin/seed and bin/peer to be measured
  --yards DIR       floor_flood, floor_tree, nats_node and micro
  --rounds N        how often everything is measured; medians count (5)
  --quick           one round and small sizes: does it work?
  --only ROW,...    some groups of rows: {groups}
  --out DIR         for bench.json, bench.svg and bench.txt (build/bench)
  --against DIR     other programs, in turns with those of --bin: one more column
  --system NAME=COMMAND, --boot NAME=COMMAND
                    another system to be measured beside (see network.py); also
                    in the environment: BENCH_OPTIONS="--system ..."
  --base PORT       of node 0; a few hundred above it are used (21001)
  --nodes-max N     no network has more nodes
  --strict          status 1 when a bar is missed

exit status: 0 measured (or, with --strict, all bars reached), 1 not, 2 wrong usage.
"""

import argparse
import base64
import os
import shlex
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import extras
import machine
import report
import rows
import systems
from drive import drive, prepare
from network import Failed
from phases import client

EXTRAS = {"micro": extras.micro, "seed": extras.seed}


def options(argv):
    parser = argparse.ArgumentParser(
        usage="bench.sh [OPTION]...", add_help=False,
        epilog=__doc__.format(groups=", ".join([*rows.groups(), *EXTRAS])),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--bin", type=Path, default=Path("bin"))
    parser.add_argument("--yards", type=Path, default=Path("build/bench"))
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", type=lambda text: text.split(","))
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--against", type=Path)
    parser.add_argument("--system", type=systems.Foreign.parse, action="append", default=[])
    parser.add_argument("--boot", type=systems.Foreign.parse, action="append", default=[])
    parser.add_argument("--base", type=int, default=21001)
    parser.add_argument("--nodes-max", type=int, default=100_000)
    parser.add_argument("--strict", action="store_true")
    given = parser.parse_args(shlex.split(os.environ.get("BENCH_OPTIONS", "")) + argv)
    if given.help:
        print(parser.epilog.strip())
        sys.exit(0)
    unknown = set(given.only or ()) - {*rows.groups(), *EXTRAS}
    if unknown:
        parser.error(f"--only: no row {', '.join(sorted(unknown))}")
    given.only = given.only or [*rows.groups(), *EXTRAS]
    given.sizes = rows.QUICK if given.quick else rows.Sizes()
    given.rounds = given.rounds or (1 if given.quick else 5)
    return given


class Suite:
    def __init__(self, given):
        self.given = given
        self.sizes = given.sizes
        foreign = systems.foreign(given.system, given.boot)
        self.systems = systems.all_of_them(
            given.bin.resolve(), given.yards.resolve(), self._key_file(),
            given.against and given.against.resolve(), foreign)
        self.missing = {name: s.missing() for name, s in self.systems.items() if s.missing()}
        self.foreign = [system.name for system in foreign]
        self.jobs = rows.needed(rows.jobs(self.sizes, self.foreign), given.only)
        self.failures = []

    def _key_file(self):
        """A key of this run; gone with it."""
        self.key = tempfile.NamedTemporaryFile("w", prefix="bench-key-")
        self.key.write(base64.b64encode(os.urandom(32)).decode() + "\n")
        self.key.flush()
        return self.key.name

    def turns(self, job, number):
        """The systems of a job, every other round in the opposite order."""
        names = list(job.systems)
        if self.given.against:
            names += [rows.OTHER[name] for name in job.systems if name in rows.OTHER]
        names = [name for name in names if name not in self.missing]
        return names if number % 2 == 0 else names[::-1]

    def run(self, job, name):
        """Figures of one network, by phase; {} when it failed."""
        ours = name in rows.OTHER or name in rows.OTHER.values()
        nodes = min(job.nodes, self.given.nodes_max)
        phases = [(phase, {**sizes, "publishers": min(sizes["publishers"], nodes)}
                   if "publishers" in sizes else sizes)
                  for phase, sizes in (job.only_ours if ours else ()) + job.phases]
        begin = time.monotonic()
        try:
            out = drive(self.systems[name], nodes, self.given.base, phases,
                        job.connect_seconds, self.sizes.settle_seconds)
        except (Failed, OSError, client.Ended, client.Malformed) as why:
            self.failures.append(f"{job.name}, {name}: {why}")
            print(f"  {job.name:10} {name:12} FAILED: {why}", file=sys.stderr)
            return {}
        print(f"  {job.name:10} {name:12} {time.monotonic() - begin:6.1f} s", file=sys.stderr)
        return out

    def measure(self):
        """results[round][job][system][phase][figure]"""
        results = []
        for number in range(self.given.rounds):
            print(f"round {number + 1} of {self.given.rounds}", file=sys.stderr)
            results.append({job.name: {name: self.run(job, name)
                                       for name in self.turns(job, number)}
                            for job in self.jobs if number < job.rounds_max})
        return results

    def table(self, results):
        """The rows that were asked for, filled."""
        wanted = [row for row in rows.rows(self.sizes, self.foreign)
                  if (row.group or self.jobs) and row.group in ["", *self.given.only]]
        filled = rows.fill(wanted, results, self.sizes)
        for row in filled:
            if row.reference and row.reference.system in self.missing:
                row.note = "not installed"
        return filled


def run(given):
    """(rows, everything that was measured)"""
    suite = Suite(given)
    facts = machine.facts()
    results = suite.measure() if suite.jobs else []
    table, beside = suite.table(results), {}
    for name, measure in EXTRAS.items():
        if name in given.only:
            print(f"  {name}", file=sys.stderr)
            try:
                more, beside[name] = measure(given)
            except Exception as why:  # the figures of all networks must not be lost for it
                suite.failures.append(f"{name}: {why!r}")
                continue
            table += more
    facts["load_after"] = round(os.getloadavg()[0], 2)
    return table, {"machine": facts, "quick": given.quick, "nodes_max": given.nodes_max,
                   "round_count": given.rounds,
                   "bin": str(given.bin), "against": str(given.against or ""),
                   "not_installed": sorted(suite.missing), "failures": suite.failures,
                   "results": results, **beside}


def main(argv):
    given = options(argv)
    prepare()
    table, raw = run(given)
    report.write(given.out, table, raw)
    print(report.table(table, bool(given.against)))
    if given.quick:
        print("quick: it works, or not; sizes are too small to say how well")
    for text in raw["failures"]:
        print(f"failed: {text}")
    print(f"\n{given.out}/bench.json, bench.svg, bench.txt")
    missed = raw["failures"] or any(row.verdict == "FAIL" for row in table)
    return 1 if given.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
