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


def seed(given):
    """What seed_bench.py measures: a list of dicts with title, unit, values,
    references and bar (of, relation, limit)."""
    try:
        import seed_bench
    except ImportError:
        return [], "there is no seed_bench.py"
    measured = seed_bench.rows(given.bin, given.yards, given.rounds, given.quick)
    return [_row("seed", one["title"], one["unit"], one["values"], one.get("references", ()),
                 Bar(*one["bar"]) if one.get("bar") else None) for one in measured], measured
