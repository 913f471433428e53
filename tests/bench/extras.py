"""Rows that do not come from networks: hot functions, and the seed by itself."""

import json
import re
import shutil
import subprocess

from rows import Bar, Row

CALLS = 400  # under valgrind, which counts exactly but slowly
COLLECTED = re.compile(r"Collected : (\d+)")


def _row(group, title, unit, values, references=(), bar=None):
    return Row(group, title, unit, None, bar=bar, values=list(values),
               references=list(references))


# --- hot functions ------------------------------------------------------------


def _instructions(program, name):
    """Of one call, as callgrind counts them; None without valgrind."""
    if not shutil.which("valgrind"):
        return None
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null",
         f"--toggle-collect=timed_{name}", program, name, str(CALLS)],
        capture_output=True, text=True, check=False)
    found = COLLECTED.search(done.stderr)
    return int(found[1]) / CALLS if found else None


def micro(given):
    program = str(given.yards / "micro")
    ns = [json.loads(subprocess.run([program], capture_output=True, check=True).stdout)
          for _ in range(min(3, given.rounds))]
    counts = {name: _instructions(program, name) for name in ns[0]}
    out = []
    for name in ns[0]:
        out.append(_row("micro", f"micro: {name}", "ns", [one[name] for one in ns]))
        if counts[name] is not None:
            out.append(_row("micro", f"micro: {name}", "instructions", [counts[name]]))
    return out, {"ns": ns, "instructions": counts}


# --- the seed ------------------------------------------------------------------

QUICK = {"seconds": 0.5, "peers": 0, "entries": 50_000}
MODES = {"renew": "seed, renewals", "join": "seed, new peers", "list": "seed, kept connections"}
REGISTRY = (("bytes_each", "memory an entry", "B", 160), ("sample_us", "a sample", "us", 5),
            ("expire_ms", "1 % expires", "ms", 50), ("slowest_ms", "the slowest call", "ms", 100))
CARRIED = (("resident_mib", "memory", "MiB"), ("renewals_per_s", "renewals", "/s"),
           ("core_share", "CPU", "cores"))


def _seed_rows(measured):
    """Rows of what seed_bench.run returned."""
    out = []
    for mode, title in MODES.items():
        one = measured["network"][mode]
        row = _row("seed", f"{title} / bare", "/s", [one["per_s"]], [one["bare_per_s"]],
                   Bar("ratio", ">=", 0.6))
        row.ratio_known = one["ratio"]
        out += [row, _row("seed", f"{title}, p99", "ms", [one["p99_ms"]],
                          bar=Bar("value", "<=", 40))]
    out.append(_row("seed", "seed, kept connections", "/s",
                    [measured["network"]["list"]["per_s"]], bar=Bar("value", ">=", 40_000)))
    table = measured["registry"]
    out += [_row("seed", f"registry of {table['entries']:,.0f}: {title}", unit, [table[key]],
                 bar=Bar("value", "<=", most)) for key, title, unit, most in REGISTRY]
    for how in ("carried", "calculated"):
        part = measured.get(how)
        out += [_row("seed", f"seed, {part['peers']:,} peers {how}: {title}", unit, [part[key]])
                for key, title, unit in CARRIED if part]
    return out


def seed(given):
    """What seed_bench.py measures."""
    try:
        import seed_bench
    except ImportError:
        return [], "there is no seed_bench.py"
    measured = seed_bench.run(given.bin.resolve(), given.yards.resolve(), given.base,
                              given.rounds, **(QUICK if given.quick else {}))
    return _seed_rows(measured), measured
