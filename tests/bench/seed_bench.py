#!/usr/bin/env python3
"""How fast a seed is, next to a bare server of the same shape.

usage: seed_bench.py [--bin DIR] [--bench DIR] [--port N] [--rounds N]
                     [--seconds S] [--peers N] [--entries N] [--out FILE]
  --bin      where the seed is (build/bin, else bin)
  --bench    where bare_seed, seed_load and bench_registry are (build/bench)
  --port     this and the next 200 ports of loopback are used (27000)
  --rounds   of all modes, seed and bare in turn (5)
  --seconds  for each mode and server in a round (3)
  --peers    that one seed is given to carry (100000); 0: leave that out
  --entries  of the registry alone (1000000); 0: leave that out
  --out      write the JSON there instead of to stdout

All figures are medians over the rounds, `ratio` is the median of the ratios of
each round; the registry's slowest call is that of the calmest of three runs,
since another process may stop any call.

exit status: 0 done, 1 something failed, 2 wrong usage.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MODES = ("renew", "join", "list")
THREADS = 64
REGISTERS_PER_S = 5000  # of the period formula, protocol.md section 8
PERIOD_S = 60


class Server:
    """A server that runs while `with` does."""

    def __init__(self, command, **how):
        self.process = subprocess.Popen([str(c) for c in command], **how)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def cpu_s(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("the server has ended")


def seed(where, port, directory, *more):
    return Server([where / "seed", "--listen", f"127.0.0.1:{port}", "--log-level", "warn",
                   "--log-dir", directory, "--no-color", *more], stderr=subprocess.DEVNULL)


def bare(where, port):
    return Server([where / "bare_seed", port])


def wait_listening(port):
    """Asks the kernel, so that the server is not bothered."""
    wanted = f"0100007F:{port:04X}"
    until = time.monotonic() + 10
    while time.monotonic() < until:
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1] == wanted and fields[3] == "0A":
                return
        time.sleep(0.02)
    raise RuntimeError(f"nobody listens on port {port}")


def load(where, mode, port, seconds, listen, *more):
    done = subprocess.run([str(c) for c in (where / "seed_load", mode, f"127.0.0.1:{port}",
                                            seconds, listen, *more)],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(done.stdout)


def compare(bin_dir, bench_dir, port, rounds, seconds):
    """{mode: figures} of seed and bare, in turn."""
    raw = {mode: [] for mode in MODES}
    for _ in range(rounds):
        for mode in MODES:
            with tempfile.TemporaryDirectory() as logs, bare(bench_dir, port), \
                    seed(bin_dir, port + 1, logs):
                wait_listening(port)
                wait_listening(port + 1)
                raw[mode].append((load(bench_dir, mode, port, seconds, port + 10),
                                  load(bench_dir, mode, port + 1, seconds, port + 100)))
    return {mode: summary(pairs) for mode, pairs in raw.items()}


def summary(pairs):
    middle = statistics.median
    return {
        "per_s": middle(s["per_s"] for _, s in pairs),
        "bare_per_s": middle(b["per_s"] for b, _ in pairs),
        "ratio": round(middle(s["per_s"] / b["per_s"] for b, s in pairs), 3),
        "p50_ms": middle(s["p50_ms"] for _, s in pairs),
        "p99_ms": middle(s["p99_ms"] for _, s in pairs),
        "bare_p99_ms": middle(b["p99_ms"] for b, _ in pairs),
        "errors": sum(s["errors"] for _, s in pairs),
    }


def registry(bench_dir, entries):
    """The registry alone, every entry of a host of its own."""
    runs = [json.loads(subprocess.check_output([str(bench_dir / "bench_registry"), str(entries)]))
            for _ in range(3)]
    middle = {key: statistics.median(r[key] for r in runs) for key in runs[0]}
    middle["slowest_ms"] = min(r["slowest_ms"] for r in runs)
    return middle


def carry(bin_dir, bench_dir, port, peers, seconds=10):
    """Registers so many through the network, then renews them at the pace the
    period formula gives them."""
    rate = min(peers / PERIOD_S, REGISTERS_PER_S)
    with tempfile.TemporaryDirectory() as logs, seed(bin_dir, port + 1, logs) as server:
        wait_listening(port + 1)
        load(bench_dir, "list", port + 1, 0.2, port + 10)
        before = server.resident()
        client = subprocess.Popen(
            [str(c) for c in (bench_dir / "seed_load", "renew", f"127.0.0.1:{port + 1}", seconds,
                              port + 10, THREADS, peers, rate)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        began = time.monotonic()
        client.stderr.readline()
        filled_s = time.monotonic() - began
        cpu_s = server.cpu_s()
        out, _ = client.communicate()
        cpu_s = server.cpu_s() - cpu_s
        figures = json.loads(out)
        after = server.resident()
    if figures["errors"] or not figures["per_s"]:
        raise RuntimeError(f"not all of {peers} peers could register or renew: {figures}")
    renewals = figures["per_s"] * seconds
    return {
        "peers": peers, "registered_per_s": round(peers / filled_s),
        "resident_mib": round(after / 2**20, 1),
        "bytes_each": round((after - before) / peers, 1),
        "renewals_per_s": figures["per_s"], "p99_ms": figures["p99_ms"],
        "core_share": round(cpu_s / seconds, 3),
        "cpu_us_each": round(cpu_s / renewals * 1e6, 1),
        "empty_mib": round(before / 2**20, 1),
    }


def extrapolate(carried, table, peers=1000000):
    """What so many would take, of these figures. One seed of n, each peer with
    k of them: the formula lets no more than REGISTERS_PER_S come to it."""
    rate = min(peers / PERIOD_S, REGISTERS_PER_S)
    return {
        "peers": peers, "period_s": round(max(PERIOD_S, peers / REGISTERS_PER_S)),
        "renewals_per_s": rate,
        "resident_mib": round(carried["empty_mib"] + table["bytes_each"] * peers / 2**20, 1),
        "core_share": round(rate * carried["cpu_us_each"] / 1e6, 3),
    }


def run(bin_dir, bench_dir, port=27000, rounds=5, seconds=3, peers=100000, entries=1000000):
    """Everything; a plain dict."""
    result = {"threads": THREADS, "rounds": rounds, "seconds": seconds}
    result["network"] = compare(bin_dir, bench_dir, port, rounds, seconds)
    if entries:
        result["registry"] = registry(bench_dir, entries)
    if peers:
        result["carried"] = carry(bin_dir, bench_dir, port, peers)
    if peers and entries:
        result["calculated"] = extrapolate(result["carried"], result["registry"])
    return result


def main():
    default = ROOT / "build" / "bin"
    p = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("usage: "))
    p.add_argument("--bin", type=Path, default=default if default.is_dir() else ROOT / "bin")
    p.add_argument("--bench", type=Path, default=ROOT / "build" / "bench")
    p.add_argument("--port", type=int, default=27000)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=3)
    p.add_argument("--peers", type=int, default=100000)
    p.add_argument("--entries", type=int, default=1000000)
    p.add_argument("--out", type=Path)
    a = p.parse_args()
    try:
        result = run(a.bin.resolve(), a.bench.resolve(), a.port, a.rounds, a.seconds, a.peers,
                     a.entries)
    except (OSError, RuntimeError, subprocess.SubprocessError) as e:
        print(f"seed_bench: {e}", file=sys.stderr)
        return 1
    text = json.dumps(result, indent=1) + "\n"
    if a.out:
        a.out.write_text(text)
    else:
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
