"""The benchmark works: small networks, all kinds of measurements, and the pure
functions that make a table and a chart of them. How fast it is, it says itself
(scripts/bench.sh)."""

import json
import random
import socket
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

import net as daemons

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "bench"))

import bench  # noqa: E402
import drive  # noqa: E402
import extras  # noqa: E402
import figures  # noqa: E402
import nodes  # noqa: E402
import report  # noqa: E402
import rows  # noqa: E402
import systems  # noqa: E402

SMALL = rows.Sizes(small=400, wide=200, large=20, idle_seconds=0.2, paced_seconds=0.3,
                   growth=(3, 4), growth_deliveries=600, crowd=4, crowd_messages=100,
                   joins=1, kills=1, settle_seconds=0.3)


@pytest.fixture(scope="module")
def yards(tmp_path_factory):
    """Where the yardsticks are; by itself this test builds the one it needs."""
    there = daemons.BIN.resolve().parent / "bench"
    if not (there / "floor_flood").exists():
        build = tmp_path_factory.mktemp("build")
        there = build / "bench"
        subprocess.run(["make", "-s", "-C", ROOT, f"BUILD={build}", there / "floor_flood"],
                       check=True)
    return there


def free_base(count):
    """So many ports in a row that nobody has; below those of outgoing connections."""
    while True:
        base = random.randrange(15000, 30000)
        try:
            for port in range(base, base + count):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue


def test_a_small_benchmark_has_all_its_rows_and_loses_nothing(yards, tmp_path):
    given = bench.options(["--bin", str(daemons.BIN), "--yards", str(yards), "--rounds", "1",
                           "--only", "n64,kill", "--nodes-max", "4",
                           "--base", str(free_base(8) + 1), "--out", str(tmp_path)])
    given.sizes = SMALL
    table, raw = bench.run(given)
    report.write(given.out, table, raw)
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["failures"] == []
    by_title = {row["title"]: row for row in written["rows"]}
    assert list(by_title) == [
        "64 nodes, 256 B / flood", "kill -9: the last neighbor notices",
        "kill -9: the seed has removed it", "delivered, the worst of all runs",
        "delivered twice, in all runs"]
    assert by_title["delivered, the worst of all runs"]["ours"] == 1
    assert by_title["delivered twice, in all runs"]["ours"] == 0
    assert by_title["64 nodes, 256 B / flood"]["ratio"] > 0
    assert written["results"][0]["kill"]["ours_logged"]["kill"]["not_noticed"] == 0
    xml.parse(tmp_path / "bench.svg")


def test_every_phase_measures_something():
    out = drive.drive(systems.ours("ours", daemons.BIN.resolve()), 4, free_base(8) + 1,
                      [("idle", {"seconds": 0.2}), ("join", {"times": 1}),
                       ("latency", {"seconds": 0.3}),
                       ("throughput", {"messages": 40, "size": 65536, "publishers": 4})],
                      settle=0.3)
    assert out["idle"]["components"] == 1 and out["idle"]["links"] == 3
    assert out["join"]["joined"] == 1 and out["join"]["ms"] > 0
    assert out["latency"]["delivered"] == 1
    assert 0 < out["latency"]["p50_ms"] <= out["latency"]["p99_ms"]
    assert out["throughput"]["delivered"] == 1 and out["throughput"]["duplicates"] == 0
    assert out["throughput"]["deliveries"] == 40 * 3


def test_each_hot_function_can_be_run_by_itself(yards):
    micro = yards / "micro"
    if not micro.exists():
        pytest.skip("make benchmarks builds it")
    for name in ("scan", "decode", "encode", "hash", "step_new", "step_copy", "link"):
        done = subprocess.run([micro, name, "20"], capture_output=True, check=True)
        assert json.loads(done.stdout)[name] > 0
    assert subprocess.run([micro, "scan"], capture_output=True).returncode == 2


# --- pure ------------------------------------------------------------------------


def test_percentiles_and_medians():
    assert figures.percentile([], 0.5) is None
    assert figures.percentile([3, 1, 2], 0.5) == 2
    assert figures.percentile(range(1, 101), 0.99) == 99
    assert figures.percentile([7], 0.99) == 7
    assert figures.median([None, 3, 1]) == 2
    assert figures.median([None]) is None


def test_a_ratio_compares_what_was_measured_side_by_side():
    assert figures.median_ratio([10, 40, 30], [10, 20, 10]) == 2
    assert figures.median_ratio([10, None], [None, 5]) is None
    assert figures.spread([2, None, 3]) == 1.5


def test_components_count_links_in_both_directions():
    assert figures.components({"a": ["b"], "b": [], "c": ["b"]}) == 1
    assert figures.components({"a": [], "b": ["c"], "c": []}) == 2
    assert figures.components({}) == 0


def test_figures_are_written_short():
    assert [figures.short(v) for v in (None, 0.0, 1234567, 1234.5, 12.34, 0.04567, 1.0)] == [
        "-", "0", "1,234,567", "1,234", "12.3", "0.0457", "1"]


@pytest.mark.parametrize("size", [64, 256, 65536])
def test_a_published_line_has_its_size_and_is_counted_once(size):
    line = nodes.line(ord("M"), 3, 17, size)
    assert len(line) == size and line.endswith(b"\n")
    assert line.startswith(b"~M3.17.") and line.count(nodes.MARK) == 1


@pytest.mark.parametrize("size, step", [(256, 1), (256, 4096), (65536, 65536), (65536, 65540)])
def test_a_tape_counts_lines_that_come_in_pieces(tmp_path, size, step):
    data = b"".join(nodes.line(ord("M"), 0, i // 2, size) for i in range(6))
    tape = nodes.Tape(ord("M"), 1 << 16, size >= nodes.SPARSE_BYTES)
    path = tmp_path / "bytes"
    for at in range(0, len(data), step):
        path.write_bytes(data[at:at + step])
        with open(path, "rb") as file:
            assert tape.read(file.fileno()) == len(data[at:at + step])
    assert tape.count == 6
    assert tape.names() == (6, 3)
    assert [name for name, _, _ in tape.deliveries()] == [
        b"0.0", b"0.0", b"0.1", b"0.1", b"0.2", b"0.2"]


def test_a_delivery_came_with_the_read_that_ended_its_head(tmp_path):
    line = nodes.line(ord("M"), 0, 0, 256)
    head = line.rindex(b".") + 1
    tape = nodes.Tape(ord("M"), 1 << 16, False)
    for i, part in enumerate((line[:head], line[head:])):
        path = tmp_path / str(i)
        path.write_bytes(part)
        with open(path, "rb") as file:
            tape.read(file.fileno())
    tape.times = [111, 222]
    assert [read for _, _, read in tape.deliveries()] == [111]


def some_rows():
    compared = rows.Row("n16", "this & that / flood", "us", None, bar=rows.Bar("ratio", "<=", 1.2),
                        values=[1.0, 3.0], references=[2.0, 2.0])
    alone = rows.Row("n16", "alone", "ms", None, bar=rows.Bar("value", "<=", 5), values=[6.0])
    absent = rows.Row("n16", "x / nats", "us", None, references=[None], values=[1.0])
    return [compared, alone, absent]


def test_a_table_says_what_was_reached():
    lines = report.table(some_rows()).splitlines()
    assert lines[2].split() == "this & that / flood 2 us 2 1 <= 1.2 x pass".split()
    assert lines[3].split() == "alone 6 ms - - <= 5 FAIL".split()
    assert lines[4].split() == "x / nats 1 us - -".split()


def test_a_chart_is_well_formed():
    chart = xml.fromstring(report.chart(some_rows(), {"cpu": "a <fast> one", "cores": 2}))
    bars = [e for e in chart.iter() if e.get("y") and e.get("class") in ("ours", "reference")]
    assert len(bars) == 2 + 2  # the legend, and one row that is compared


def test_what_was_not_measured_fails_its_bar():
    missing = rows.Row("n16", "gone", "us", rows.Source("n16", "idle", "x"),
                       bar=rows.Bar("value", "<=", 1))
    rows.fill([missing], [{}], SMALL)
    assert missing.verdict == "FAIL"


def test_each_group_of_rows_has_the_networks_it_needs():
    jobs = rows.jobs(rows.Sizes())
    assert [job.name for job in rows.needed(jobs, ["publishers"])] == ["n16", "publishers"]
    assert [job.name for job in rows.needed(jobs, ["crowd"])] == ["crowd"]
    assert len(rows.needed(jobs, ["growth"])) == len(rows.GROWTH)
    assert rows.needed(jobs, ["micro"]) == []


def test_the_figures_of_a_seed_become_rows():
    one = {"per_s": 30.0, "bare_per_s": 60.0, "ratio": 0.7, "p99_ms": 41.0}
    measured = {"network": {"renew": one, "join": one, "list": one},
                "registry": {"entries": 1000, "bytes_each": 100.0, "sample_us": 6.0,
                             "expire_ms": 1.0, "slowest_ms": 2.0}}
    table = {row.title: row for row in extras._seed_rows(measured)}
    assert table["seed, renewals / bare"].ratio == 0.7
    assert table["seed, renewals / bare"].verdict == "pass"
    assert table["seed, new peers, p99"].verdict == "FAIL"
    assert table["registry of 1,000: a sample"].verdict == "FAIL"
    assert len(table) == 3 * 2 + 1 + 4


def test_another_system_is_a_command():
    given = bench.options(["--system", "x=no-such-program {port}", "--boot", "x=sleep 9"])
    other, = systems.foreign(given.system, given.boot)
    assert other.missing() == "no-such-program" and other.boot == "sleep 9"
