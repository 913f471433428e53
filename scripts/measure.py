#!/usr/bin/env python3
"""Measures the network with the simulator, and draws what comes of it.

usage: scripts/measure.py [--quick] [--draw] [--sim FILE] [--jobs N] [--out DIR]
  --quick   at most 1,000 peers and one run of each kind: within two minutes
  --draw    measures nothing, draws again what was measured
  --sim     the simulator (build/sim, which `make sim` builds)
  --jobs    runs at a time (2)
  --out     where measured.md and plots are (docs)

Every run becomes one line of DIR/plots/data.jsonl: the command that repeats it
and the figures that the simulator printed. DIR/plots/*.svg and what stands in
DIR/measured.md between `<!-- begin NAME -->` and `<!-- end NAME -->` come from
that file alone: the same file gives the same bytes.

exit status: 0 done, 1 a run failed or broke a rule, 2 wrong usage.
"""

import argparse
import concurrent.futures
import json
import math
import re
import statistics
import subprocess
import sys
import textwrap
from collections import namedtuple
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
QUICK_PEERS = 1000

# --- what is run ----------------------------------------------------------

# set and series say where in which plot a run belongs, x is its place there.
Run = namedtuple("Run", "set series x args")


def sizes(quick):
    for n in (100, 300, 1000, 3000, 10000):
        if n > QUICK_PEERS and quick:
            continue
        for mode in ("tree", "flood"):
            yield Run("size", mode, n,
                      f"--mode {mode} --peers {n} --publishers 10 --messages 5")


def crashes(quick):
    some = f"--peers {QUICK_PEERS if quick else 10000} --publishers 10 --messages 4"
    yield Run("crash", "none", 0, some)
    for share in (0.1, 0.3, 0.5, 0.7):
        for how in ("process", "host"):
            yield Run("crash", how, share, f"{some} --crash {share}:{how}")


def churns(quick):
    some = f"--peers {QUICK_PEERS if quick else 10000} --publishers 10 --messages 11"
    yield Run("churn", "none", 0, some)
    for percent in (0.2, 0.5, 1, 2):
        for how in ("process", "host"):
            yield Run("churn", how, percent, f"{some} --churn {percent / 100:g}:{how}")


def splits(quick):
    for n in (100, 300, 1000, 3000, 10000):
        if n > QUICK_PEERS and quick:
            continue
        for length in (30, 120):
            yield Run("seed-split", str(length), n,
                      f"--peers {n} --messages 2 --seed-split {length}")
    for length in (5, 10, 20, 30, 60, 120):
        yield Run("partition", "partition", length,
                  f"--peers 1000 --messages 20 --partition {length}")


def plan(quick):
    """Every run with its command line, in the order of the file."""
    for kinds in (sizes, crashes, churns, splits):
        for run in kinds(quick):
            for seed in range(1, 2 if quick else 4):
                yield run._replace(args=f"--json --seed {seed} --seeds 5 {run.args}")


# --- running --------------------------------------------------------------

def execute(sim, run):
    """The line for data.jsonl, or None; and what went wrong, or ''."""
    done = subprocess.run([str(sim), *run.args.split()], capture_output=True, text=True,
                          check=False)
    command = f"build/sim {run.args}"
    wrong = f"status {done.returncode}: {command}\n{done.stderr}" if done.returncode else ""
    figures = done.stdout.strip()
    if not figures.startswith("{"):
        return None, wrong or f"no figures: {command}\n"
    head = {"set": run.set, "series": run.series, "x": run.x, "command": command,
            "status": done.returncode}
    return f'{json.dumps(head)[:-1]}, "figures": {figures}}}\n', wrong


def measure(sim, jobs, quick, path):
    """Runs all. True if all went well."""
    runs = list(plan(quick))
    lines, failed = [], 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        results = pool.map(lambda run: execute(sim, run), runs)
        for i, (run, (line, wrong)) in enumerate(zip(runs, results)):
            print(f"{i + 1}/{len(runs)} {run.args}", file=sys.stderr)
            if wrong:
                failed += 1
                print(wrong, end="", file=sys.stderr)
            if line:
                lines.append(line)
    if not lines:
        sys.exit("measure.py: no run came to anything; the old figures stay")
    path.write_text("".join(lines), encoding="utf-8")
    return failed == 0


# --- what was measured ----------------------------------------------------

def load(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def after(key):
    """What was published after the crash, where the simulator tells it apart."""
    def figure(figures):
        value = figures.get("after_" + key)
        return figures.get(key) if value is None else value
    return figure


def told_apart(rows):
    return any(r["figures"].get("after_median_ms") is not None for r in rows)


def key_of(key):
    return key if callable(key) else lambda figures: figures.get(key)


Point = namedtuple("Point", "x mid lo hi")


def points(rows, name, series, key):
    """One point for each x; a series begins with the runs in which nothing happens."""
    values = {}
    for r in rows:
        if r["set"] == name and r["series"] in (series, "none"):
            value = key_of(key)(r["figures"])
            if value is not None:
                values.setdefault(r["x"], []).append(value)
    return [Point(x, statistics.median(v), min(v), max(v)) for x, v in sorted(values.items())]


def of_set(rows, name):
    return [r for r in rows if r["set"] == name]


def option(row, name, default=""):
    found = re.search(rf"--{name} (\S+)", row["command"])
    return found.group(1) if found else default


def peers_of(rows, name):
    """How many peers the runs of a set began with, as a text."""
    sizes_ = sorted({int(option(r, "peers")) for r in of_set(rows, name)})
    return " to ".join(f"{n:,}" for n in sizes_[:1] + sizes_[1:][-1:])


def runs_note(rows, name):
    """How many runs are behind a point."""
    each = {}
    for r in of_set(rows, name):
        each[(r["series"], r["x"])] = each.get((r["series"], r["x"]), 0) + 1
    most = max(each.values(), default=0)
    if most < 2:
        return "one run each"
    return f"median of {most} runs, bars: smallest to largest"


# --- figures as text ------------------------------------------------------

def plain(v):
    return f"{v:g}"


def count(v):
    return f"{v:,.0f}"


def thousands(v):
    return f"{v:g}" if v < 1000 else f"{v / 1000:g}k"


def percents(v):
    return f"{v * 100:g}"


def copies(v):
    if v <= 0:
        return "0"
    return f"{v:.{2 if v >= 0.995 else 3 if v >= 0.01 else 5}f}"


def seconds(v):
    return f"{v:.1f} s" if v >= 10 else f"{v:.2f} s"


def whole(v):
    return seconds(v) if v > 0 else "at once"


def millis(v):
    return f"{v:.0f} ms" if v < 1000 else seconds(v / 1000)


def tick_millis(v):
    return f"{v:g} ms" if v < 1000 else f"{v / 1000:g} s"


# --- axes -----------------------------------------------------------------

class Axis:
    """Maps values to 0 .. 1: linear; or up to `edge` linear and above it
    logarithmic, which is all of it when low is the edge."""

    def __init__(self, ticks, tick_text, edge=None):
        self.ticks, self.tick_text, self.edge = ticks, tick_text, edge
        self.low, self.high = ticks[0], ticks[-1]
        if self.high == self.low:
            self.high = self.low * 1.01 + 0.01

    def at(self, v):
        low, high, edge = self.low, self.high, self.edge
        if edge is None:
            return (v - low) / (high - low)
        foot = 0.12 if edge > low else 0  # what the linear part takes
        if v < edge:
            return foot * (v - low) / (edge - low) if edge > low else 0
        return foot + (1 - foot) * math.log(v / edge) / math.log(high / edge)


def linear(lines, tick_text):
    """From 0 to the largest value, with 3 to 6 round ticks."""
    top = max((q.hi for line in lines for q in line.points), default=1) or 1
    step = 10 ** math.floor(math.log10(top))
    step = next(step * k for k in (0.2, 0.25, 0.5, 1, 2) if top / (step * k) <= 5.5)
    return Axis([i * step for i in range(math.ceil(top / step - 1e-9) + 1)], tick_text)


def each_place(lines, tick_text, log=False):
    """The places themselves are the ticks."""
    ticks = sorted({q.x for line in lines for q in line.points}) or [1]
    return Axis(ticks, tick_text, ticks[0] if log else None)


# --- drawing --------------------------------------------------------------

BLUE, ORANGE, GREEN, PURPLE = "#3d85d9", "#d9772b", "#2f9e72", "#9a6fd6"
STYLE = (".m{color:#57606a;font:13px system-ui,sans-serif}"
         "@media(prefers-color-scheme:dark){.m{color:#a8b3be}}"
         ".m text{fill:currentColor}.m .b{font-weight:600;font-size:15px}"
         ".m .s{font-size:12px}.m .g{stroke:currentColor;opacity:.2}"
         ".m .a{stroke:currentColor}.m .l{fill:none;stroke-width:2}")
TOP, BOTTOM = 104, 308  # of all panels
INSET = 9               # of the first and the last place
LETTER = 7.2            # width of one, at most

Line = namedtuple("Line", "name color dash points")
Panel = namedtuple("Panel", "left right heading below x y value lines")


def num(v):
    return f"{v:.1f}".rstrip("0").rstrip(".")


def text(x, y, content, anchor="start", extra=""):
    at = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{num(x)}" y="{num(y)}"{at}{extra}>{escape(content)}</text>'


def px(panel, v):
    return panel.left + INSET + panel.x.at(v) * (panel.right - panel.left - 2 * INSET)


def py(panel, v):
    return BOTTOM - panel.y.at(v) * (BOTTOM - TOP)


def draw_axes(p):
    out = [text(p.left, TOP - 12, p.heading, extra=' class="s"')]
    for v in p.y.ticks:
        y = num(py(p, v))
        out.append(f'<path class="g" d="M{p.left} {y}H{p.right}"/>')
        out.append(text(p.left - 6, float(y) + 4, p.y.tick_text(v), "end"))
    out.append(f'<path class="a" d="M{p.left} {BOTTOM}H{p.right}"/>')
    for v in p.x.ticks:
        x = num(px(p, v))
        out.append(f'<path class="a" d="M{x} {BOTTOM}v5"/>')
        out.append(text(float(x), BOTTOM + 19, p.x.tick_text(v), "middle"))
    out.append(text((p.left + p.right) / 2, BOTTOM + 40, p.below, "middle"))
    return out


def draw_line(p, line, shift):
    dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
    at = [(px(p, q.x) + shift, py(p, q.mid), py(p, q.lo), py(p, q.hi)) for q in line.points]
    path = "L".join(f"{num(x)} {num(y)}" for x, y, _, _ in at)
    bars = "".join(f"M{num(x)} {num(lo)}V{num(hi)}" for x, _, lo, hi in at if lo - hi >= 1)
    dots = "".join(f'<circle cx="{num(x)}" cy="{num(y)}" r="3"/>' for x, y, _, _ in at)
    out = [f'<g fill="{line.color}" stroke="{line.color}">',
           f'<path class="l"{dash} d="M{path}"/>',
           f'<path d="{bars}"/>' if bars else "",
           f'<g stroke="none">{dots}</g></g>']
    return ["".join(out)]


def apart(wanted, least, limit):
    """The same heights, moved down, then up again from the limit, so that none
    covers another."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    at = list(wanted)
    for a, b in zip(order, order[1:]):
        at[b] = max(at[b], at[a] + least)
    for i, k in enumerate(reversed(order)):
        at[k] = min(at[k], limit - i * least)
    return at


def draw_labels(p):
    lines = [line for line in p.lines if line.points]
    if not lines:
        return []
    at = apart([py(p, line.points[-1].mid) + 4 for line in lines], 14, BOTTOM + 4)
    return [text(p.right + 8, y, p.value(line.points[-1].mid),
                 extra=f' style="fill:{line.color}"') for line, y in zip(lines, at)]


def draw_panel(p):
    out = draw_axes(p)
    for i, line in enumerate(p.lines):
        if line.points:
            out += draw_line(p, line, 4 * (i - (len(p.lines) - 1) / 2))
    return out + draw_labels(p)


def draw_legend(lines):
    out, x = [], 20
    for line in lines:
        dash = f' stroke-dasharray="{line.dash}"' if line.dash else ""
        out.append(f'<path class="l" stroke="{line.color}"{dash} d="M{num(x)} 66h24"/>')
        out.append(text(x + 30, 70, line.name))
        x += 30 + LETTER * len(line.name) + 20
    return out


def draw(title, note, panels):
    legend = {}
    for line in (line for p in panels for line in p.lines):
        legend.setdefault(line.name, line)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" class="m" viewBox="0 0 640 360" '
           'width="640" height="360" role="img">',
           f"<title>{escape(title)}</title><style>{STYLE}</style>",
           text(20, 24, title, extra=' class="b"'), text(20, 44, note, extra=' class="s"')]
    out += draw_legend(list(legend.values()))
    for p in panels:
        out += draw_panel(p)
    return "\n".join(out + ["</svg>", ""])


WHOLE, LEFT, RIGHT = (66, 550), (66, 250), (382, 566)


# --- the plots ------------------------------------------------------------

def two(rows, name, key, series, dash=""):
    """A line for each of two series."""
    return [Line(label, color, dash, points(rows, name, which, key))
            for (which, label), color in zip(series, (BLUE, ORANGE))]


MODES = (("tree", "tree"), ("flood", "flood"))
CRASHED = "% of all peers, at once"
DASHED = "5 3"
HOWS = (("process", "processes end"), ("host", "hosts fall silent"))


def plot_redundancy(rows):
    lines = two(rows, "size", "redundancy", MODES)
    panel = Panel(*WHOLE, "copies too many per delivery (linear below 0.01, logarithmic above)",
                  "peers", each_place(lines, count, True), Axis([0, 0.01, 0.1, 1, 10], plain, 0.01),
                  copies, lines)
    return draw("Redundancy against size", f"10 publishers; {runs_note(rows, 'size')}", [panel])


def plot_latency(rows):
    lines = two(rows, "size", "p99_ms", MODES) + two(rows, "size", "median_ms", MODES, DASHED)
    panel = Panel(*WHOLE, "from publishing to delivery: 99th percentile, median (dashed)",
                  "peers", each_place(lines, count, True), linear(lines, tick_millis),
                  millis, lines)
    return draw("Latency against size", f"10 publishers; {runs_note(rows, 'size')}", [panel])


def crash_note(rows):
    what = "after the crash" if told_apart(rows) else "before and after"
    return f"{peers_of(rows, 'crash')} peers; published {what}; {runs_note(rows, 'crash')}"


def crash_panel(rows, sides, how, heading):
    lines = [Line(label, color, "", points(rows, "crash", how, after(key)))
             for key, label, color in (("max_ms", "slowest delivery", PURPLE),
                                       ("p99_ms", "99th percentile", ORANGE),
                                       ("median_ms", "median", BLUE))]
    y = Axis([100, 300, 1000, 3000, 10000, 30000, 60000], tick_millis, 100)
    return Panel(*sides, f"{heading}: latency (logarithmic)", CRASHED,
                 each_place(lines, percents), y, millis, lines)


def plot_crash_latency(rows):
    return draw("Latency after a crash", crash_note(rows),
                [crash_panel(rows, sides, *how) for sides, how in zip((LEFT, RIGHT), HOWS)])


def plot_crash_redundancy(rows):
    lines = two(rows, "crash", after("redundancy"), HOWS)
    panel = Panel(*WHOLE, "copies too many per delivery", CRASHED, each_place(lines, percents),
                  linear(lines, plain), copies, lines)
    return draw("Redundancy after a crash", crash_note(rows), [panel])


def plot_churn(rows):
    many = two(rows, "churn", "redundancy", HOWS)
    late = two(rows, "churn", "p99_ms", HOWS) + two(rows, "churn", "median_ms", HOWS, DASHED)
    below = "% of the peers, a second"
    return draw("Churn", f"{peers_of(rows, 'churn')} peers; {runs_note(rows, 'churn')}",
                [Panel(*LEFT, "copies too many per delivery", below, each_place(many, plain),
                       linear(many, plain), copies, many),
                 Panel(*RIGHT, "99th percentile, median (dashed)", below, each_place(late, plain),
                       linear(late, tick_millis), millis, late)])


def plot_whole_crash(rows):
    lines = two(rows, "crash", "one_component_after_s", HOWS)
    panel = Panel(*WHOLE, "after the crash (linear below 0.1 s, logarithmic above)", CRASHED,
                  each_place(lines, percents), Axis([0, 0.1, 1, 10, 60], "{:g} s".format, 0.1),
                  whole, lines)
    return draw("One component again after a crash",
                f"{peers_of(rows, 'crash')} peers; {runs_note(rows, 'crash')}", [panel])


def plot_whole_split(rows):
    seeds = two(rows, "seed-split", "one_component_after_s",
                (("30", "seeds split for 30 s"), ("120", "for 120 s")))
    parts = [Line("network split", PURPLE, "",
                  points(rows, "partition", "partition", "one_component_after_s"))]
    y = linear(seeds + parts, "{:g} s".format)
    return draw("One component again after a split", runs_note(rows, "partition"),
                [Panel(*LEFT, "seeds split; after the healing", "peers",
                       each_place(seeds, thousands, True), y, whole, seeds),
                 Panel(*RIGHT, f"network split, {peers_of(rows, 'partition')} peers",
                       "seconds it lasted", each_place(parts, plain, True), y, whole, parts)])


PLOTS = {
    "redundancy": plot_redundancy,
    "latency": plot_latency,
    "crash-latency": plot_crash_latency,
    "crash-redundancy": plot_crash_redundancy,
    "churn": plot_churn,
    "whole-crash": plot_whole_crash,
    "whole-split": plot_whole_split,
}

# --- the tables -----------------------------------------------------------


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def middle(rows, name, series, x, key):
    """The median at that place, or None."""
    return next((p.mid for p in points(rows, name, series, key) if p.x == x), None)


def cells(rows, name, series, x, columns):
    out = []
    for key, text_of in columns:
        value = middle(rows, name, series, x, key)
        out.append("–" if value is None else text_of(value))
    return out


def places(rows, name):
    """What a set has, in the order of the file."""
    return list(dict.fromkeys((r["series"], r["x"]) for r in of_set(rows, name)))


def two_digits(v):
    return f"{v:.2f}"


def table_size(rows):
    columns = (("redundancy", copies), ("redundancy_all", copies),
               ("have_per_delivery", two_digits), ("bytes_per_delivery", count),
               ("median_ms", millis), ("p99_ms", millis), ("last_median_ms", millis),
               ("max_hops", count))
    head = ["peers", "how", "redundancy", "with first messages", "`Have` per delivery",
            "bytes per delivery", "median", "99th percentile", "last peer", "most hops"]
    return table(head, [[count(x), series, *cells(rows, "size", series, x, columns)]
                        for series, x in places(rows, "size")])


def table_crash(rows):
    columns = ((after("redundancy"), copies), ("getdata_per_delivery", copies),
               (after("median_ms"), millis), (after("p99_ms"), millis),
               (after("max_ms"), millis), ("one_component_after_s", whole))
    head = ["crashed", "how", "redundancy", "`getData` per delivery", "median",
            "99th percentile", "slowest", "one component after"]
    return table(head, [[f"{x * 100:g} %", series, *cells(rows, "crash", series, x, columns)]
                        for series, x in places(rows, "crash")])


def table_churn(rows):
    columns = (("redundancy", copies), ("getdata_per_delivery", copies),
               ("median_ms", millis), ("p99_ms", millis), ("max_ms", millis),
               ("joiner_first_p50_ms", millis), ("joiner_first_p99_ms", millis))
    head = ["a second", "how", "redundancy", "`getData` per delivery", "median",
            "99th percentile", "slowest", "first message, median", "99th percentile"]
    return table(head, [[f"{x:g} %", series, *cells(rows, "churn", series, x, columns)]
                        for series, x in places(rows, "churn")])


def table_split(rows):
    kinds = (("seed-split", "30", "seeds split for 30 s, {:,} peers"),
             ("seed-split", "120", "seeds split for 120 s, {:,} peers"),
             ("partition", "partition", "network split for {} s, 1,000 peers"))
    out = []
    for name, series, label in kinds:
        for p in points(rows, name, series, "one_component_after_s"):
            out.append([label.format(p.x), whole(p.mid), whole(p.lo), whole(p.hi)])
    return table(["what", "one component after", "smallest", "largest"], out)


# What the model said: set, series, x, peers, its figures (redundancy, median
# and 99th percentile in ms; or seconds to one component), remark.
MODEL = (
    ("size", "tree", 100, 100, (0, 118, 189), "tree, nothing happens"),
    ("size", "flood", 100, 100, (5.5996, 124, 195), "flood, nothing happens"),
    ("size", "tree", 1000, 1000, (0.0002, 151, 241), "tree, nothing happens"),
    ("size", "flood", 1000, 1000, (5.8092, 158, 248), "flood, nothing happens"),
    ("size", "tree", 10000, 10000, (0.0002, 240, 318), "tree, nothing happens"),
    ("size", "flood", 10000, 10000, (5.9789, 248, 320), "flood, nothing happens"),
    ("crash", "process", 0.3, 10000, (0.350, 565, 920), "30 % of the processes end"),
    ("crash", "process", 0.5, 10000, (0.288, 706, 1240), "50 % of the processes end"),
    ("crash", "host", 0.3, 10000, (0.248, 650, 1306), "30 % of the hosts fall silent"),
    ("churn", "process", 1, 10000, (0.101, 224, 662), "1 % of the processes replaced each second"),
    ("churn", "host", 1, 10000, (0.099, 220, 686), "1 % of the hosts replaced each second"),
    ("crash", "process", 0.1, 10000, 0.10, "10 % of the processes end"),
    ("crash", "process", 0.3, 10000, 0.44, "30 % of the processes end"),
    ("crash", "process", 0.5, 10000, 0.58, "50 % of the processes end"),
    ("crash", "process", 0.7, 10000, 0.70, "70 % of the processes end"),
    ("seed-split", "120", 100, 100, 2.0, "seeds split while peers join, healed"),
    ("seed-split", "120", 1000, 1000, 1.0, "seeds split while peers join, healed"),
)
DELIVERY = ((after("redundancy"), copies), (after("median_ms"), count), (after("p99_ms"), count))
CONNECTED = (("one_component_after_s", whole),)


def table_model(rows):
    out = []
    for name, series, x, peers, said, what in MODEL:
        if not any(r["set"] == name and int(option(r, "peers")) == peers for r in rows):
            continue
        columns = DELIVERY if isinstance(said, tuple) else CONNECTED
        said = said if isinstance(said, tuple) else (said,)
        model = [text_of(v) for v, (_, text_of) in zip(said, columns)]
        real = cells(rows, name, series, x, columns)
        unit = " ms" if len(model) == 3 else ""
        out.append([f"{peers:,} peers, {what}", " / ".join(model) + unit,
                    " / ".join(real) + unit])
    return table(["what", "model", "measured"], out)


def total(rows, key):
    return sum(r["figures"].get(key) or 0 for r in rows)


def summary(rows):
    least = min((r["figures"]["reliability"] for r in rows), default=1)
    broken = sum(1 for r in rows if r["status"] != 0)
    deliveries = total(rows, "deliveries")
    most = max((r["figures"]["degree_max"] for r in rows), default=0)
    said = textwrap.fill(
        f"{len(rows)} runs, {deliveries:,} deliveries: {total(rows, 'lost'):,} messages lost, "
        f"{total(rows, 'duplicates'):,} delivered twice, {broken} runs in which a rule was "
        f"broken. The lowest reliability of a run is {least:.6f}; at the end of the runs no "
        f"peer had more than {most} links.", 80) + "\n"
    if max((int(option(r, "peers")) for r in rows), default=0) <= QUICK_PEERS:
        said += "\n**A quick run, with fewer and smaller networks (`--quick`).**\n"
    return said


def crash_counted(rows):
    if told_apart(rows):
        return ("Redundancy and latency are those of the 20 messages published in the two "
                "seconds\nafter the crash; `getData` is counted over the whole run.\n")
    return ("The figures are of all messages, half of them published before the crash, "
            "when all\npeers were alive: the median says little.\n")


PARTS = {
    "summary": summary,
    "size": table_size,
    "crash-counted": crash_counted,
    "crash": table_crash,
    "churn": table_churn,
    "split": table_split,
    "model": table_model,
}


def fill(page, rows):
    """The page with new text between its markers."""
    for name, make in PARTS.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
        head, found, rest = page.partition(begin)
        _, closed, tail = rest.partition(end)
        if not found or not closed:
            sys.exit(f"measure.py: the page lacks {begin.strip()} or {end.strip()}")
        page = f"{head}{begin}\n{make(rows)}\n{end}{tail}"
    return page


# --- the program ----------------------------------------------------------

def draw_all(out):
    rows = load(out / "plots" / "data.jsonl")
    for name, make in PLOTS.items():
        (out / "plots" / f"{name}.svg").write_text(make(rows), encoding="utf-8")
    page = out / "measured.md"
    if page.exists():
        page.write_text(fill(page.read_text(encoding="utf-8"), rows), encoding="utf-8")
    else:
        print(f"measure.py: no {page}: only the plots are drawn", file=sys.stderr)


def arguments():
    p = argparse.ArgumentParser(description="Measures the network with the simulator.")
    p.add_argument("--quick", action="store_true", help="small and few, within two minutes")
    p.add_argument("--draw", action="store_true", help="only draw what was measured")
    p.add_argument("--sim", type=Path, default=ROOT / "build" / "sim", help="(build/sim)")
    p.add_argument("--jobs", type=int, default=2, help="runs at a time (2)")
    p.add_argument("--out", type=Path, default=ROOT / "docs", help="(docs)")
    a = p.parse_args()
    if a.jobs < 1:
        p.error("--jobs takes 1 or more")
    if a.draw and not (a.out / "plots" / "data.jsonl").exists():
        p.error("there is nothing to draw yet: measure without --draw first")
    if not a.draw and not a.sim.exists():
        p.error(f"there is no {a.sim}: make sim")
    return a


def main():
    a = arguments()
    (a.out / "plots").mkdir(parents=True, exist_ok=True)
    well = a.draw or measure(a.sim.resolve(), a.jobs, a.quick, a.out / "plots" / "data.jsonl")
    draw_all(a.out)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
