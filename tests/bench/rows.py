"""What is measured and what is to be reached: data, and how figures become rows."""

from dataclasses import dataclass, field

import figures

GROWTH = (8, 16, 32, 64, 128)
GROWTH_DELIVERIES = 300_000  # at each size about so many


@dataclass(frozen=True)
class Job:
    """A network that is started, measured and stopped, for each system in turn."""
    name: str
    nodes: int
    systems: tuple
    phases: tuple  # (name, sizes)
    only_ours: tuple = ()  # phases before those, for our own systems alone
    rounds_max: int = 1000
    connect_seconds: float = 60


@dataclass(frozen=True)
class Bar:
    """value or ratio, <= or >= limit; aim: the better figure that is wished for."""
    of: str
    relation: str
    limit: float
    aim: float = None

    def met(self, value):
        if value is None:
            return False
        return value <= self.limit if self.relation == "<=" else value >= self.limit

    def __str__(self):
        unit = " x" if self.of == "ratio" else ""
        aim = "" if self.aim is None else f" (aim {figures.short(self.aim)})"
        return f"{self.relation} {figures.short(self.limit)}{unit}{aim}"


@dataclass(frozen=True)
class Source:
    """Where a figure comes from."""
    job: str
    phase: str
    figure: str
    system: str = "ours"


@dataclass
class Row:
    group: str  # what --only names
    title: str
    unit: str
    ours: Source
    reference: Source = None
    bar: Bar = None
    # Filled in by `fill`, one of each round:
    values: list = field(default_factory=list)
    references: list = field(default_factory=list)
    others: list = field(default_factory=list)  # of --against
    note: str = ""
    ratio_known: float = None  # instead of the median of the rounds' ratios

    @property
    def value(self):
        return figures.median(self.values)

    @property
    def ratio(self):
        if self.ratio_known is not None:
            return self.ratio_known
        return figures.median_ratio(self.values, self.references)

    @property
    def against(self):
        return figures.median_ratio(self.values, self.others)

    @property
    def verdict(self):
        if self.note and self.value is None:
            return self.note
        if self.bar is None:
            return ""
        return "pass" if self.bar.met(self.ratio if self.bar.of == "ratio" else self.value) \
            else "FAIL"


@dataclass(frozen=True)
class Sizes:
    """How much of everything; the second column is for --quick."""
    small: int = 100_000
    wide: int = 20_000
    large: int = 2_000
    idle_seconds: float = 5
    paced_seconds: float = 10
    growth: tuple = GROWTH
    growth_deliveries: int = GROWTH_DELIVERIES
    crowd: int = 500
    crowd_messages: int = 1_000
    joins: int = 3
    kills: int = 3
    settle_seconds: float = 1


QUICK = Sizes(small=5_000, wide=1_000, large=100, idle_seconds=1, paced_seconds=1,
              growth=(8, 16, 32), growth_deliveries=30_000, crowd=50, crowd_messages=100)


def jobs(sizes, foreign=()):
    """All networks; foreign: names of other systems that are measured beside."""
    paced = ("latency", {"seconds": sizes.paced_seconds})
    small = ("throughput", {"messages": sizes.small})
    out = [
        Job("n16", 16, ("ours", "floor_flood", "floor_tree", "nats", *foreign), (paced, small),
            only_ours=(("idle", {"seconds": sizes.idle_seconds}),
                       ("join", {"times": sizes.joins}))),
        Job("publishers", 16, ("ours",), (("throughput", {"messages": sizes.small,
                                                          "publishers": 4}),)),
        Job("n64", 64, ("ours", "floor_flood"), (("throughput", {"messages": sizes.wide}),)),
        Job("large", 16, ("ours", "floor_flood"), (("throughput", {"messages": sizes.large,
                                                                   "size": 65536}),)),
        Job("logged", 16, ("ours_logged",), (small,)),
        Job("keyed", 16, ("ours_keyed",),
            (("idle", {"seconds": sizes.idle_seconds, "ask": False}), small)),
        Job("kill", 16, ("ours_logged",), (("kill", {"times": sizes.kills}),)),
    ]
    for n in sizes.growth:
        out.append(Job(f"growth{n}", n, ("ours",), (
            ("throughput", {"messages": sizes.growth_deliveries // (n - 1)}),), rounds_max=3))
    out.append(Job("crowd", sizes.crowd, ("ours",), (
        ("idle", {"seconds": sizes.idle_seconds}),
        ("throughput", {"messages": sizes.crowd_messages})), rounds_max=1,
        connect_seconds=120))
    return out


def _against_flood(group, title, unit, job, phase, figure, bar):
    return Row(group, title, unit, Source(job, phase, figure),
               Source(job, phase, figure, "floor_flood"), bar)


def _speed_rows(foreign):
    rate = Source("n16", "throughput", "per_s")
    out = [
        _against_flood("n16", "16 nodes, 256 B / flood", "deliveries/s", "n16", "throughput",
                       "per_s", Bar("ratio", ">=", 1.0, 1.4)),
        _against_flood("n16", "16 nodes, CPU a delivery / flood", "us", "n16", "throughput",
                       "cpu_us", Bar("ratio", "<=", 1.2, 0.9)),
    ]
    for name in ("nats", "floor_tree", *foreign):
        out.append(Row("n16", f"16 nodes, 256 B / {name}", "deliveries/s", rate,
                       Source("n16", "throughput", "per_s", name)))
        out.append(Row("n16", f"16 nodes, CPU a delivery / {name}", "us",
                       Source("n16", "throughput", "cpu_us"),
                       Source("n16", "throughput", "cpu_us", name)))
    return out + [
        _against_flood("n16", "100 msg/s, CPU a delivery / flood", "us", "n16", "latency",
                       "cpu_us", Bar("ratio", "<=", 0.5)),
        _against_flood("n16", "100 msg/s, latency p50 / flood", "ms", "n16", "latency",
                       "p50_ms", Bar("ratio", "<=", 1.0)),
        _against_flood("n16", "100 msg/s, latency p99 / flood", "ms", "n16", "latency",
                       "p99_ms", Bar("ratio", "<=", 1.0)),
        Row("publishers", "4 publishers / 1 publisher", "deliveries/s",
            Source("publishers", "throughput", "per_s"), rate, Bar("ratio", ">=", 0.9)),
        _against_flood("n64", "64 nodes, 256 B / flood", "deliveries/s", "n64", "throughput",
                       "per_s", Bar("ratio", ">=", 1.2, 2.0)),
        _against_flood("large", "16 nodes, 64 KiB / flood", "MiB/s", "large", "throughput",
                       "mib_per_s", Bar("ratio", ">=", 1.0)),
        Row("logged", "log at info / log at warn", "deliveries/s",
            Source("logged", "throughput", "per_s", "ours_logged"), rate,
            Bar("ratio", ">=", 0.7)),
        Row("keyed", "with a key / without", "deliveries/s",
            Source("keyed", "throughput", "per_s", "ours_keyed"), rate,
            Bar("ratio", ">=", 0.6)),
        Row("keyed", "idle memory with a key / without", "MiB",
            Source("keyed", "idle", "pss_mib", "ours_keyed"), Source("n16", "idle", "pss_mib"),
            Bar("ratio", "<=", 1.14)),  # 16 KiB a link
    ]


def _life_rows():
    return [
        Row("n16", "idle, CPU a peer", "% of a core", Source("n16", "idle", "cpu_percent"),
            bar=Bar("value", "<=", 0.05)),
        Row("n16", "idle, memory a peer (PSS)", "MiB", Source("n16", "idle", "pss_mib"),
            bar=Bar("value", "<=", 1.0)),
        Row("n16", "idle, links a peer", "", Source("n16", "idle", "links")),
        Row("n16", "join: start to first delivery", "ms", Source("n16", "join", "ms"),
            bar=Bar("value", "<=", 50)),
        Row("kill", "kill -9: the last neighbor notices", "ms",
            Source("kill", "kill", "noticed_ms", "ours_logged"), bar=Bar("value", "<=", 10)),
        Row("kill", "kill -9: the seed has removed it", "s",
            Source("kill", "kill", "removed_s", "ours_logged"), bar=Bar("value", "<=", 1.5)),
    ]


def _size_rows(sizes):
    out = [Row("growth", f"{n} peers, CPU a delivery", "us",
               Source(f"growth{n}", "throughput", "cpu_us")) for n in sizes.growth]
    n = sizes.crowd
    return out + [
        Row("growth", "CPU a delivery, dearest / cheapest size", "", Source("", "", "growth"),
            bar=Bar("value", "<=", 1.5)),
        Row("crowd", f"{n} peers: all have joined", "s", Source("crowd", "connect", "seconds"),
            bar=Bar("value", "<=", 60)),
        Row("crowd", f"{n} peers: components", "", Source("crowd", "idle", "components"),
            bar=Bar("value", "<=", 1)),
        Row("crowd", f"{n} peers: delivered", "", Source("crowd", "throughput", "delivered"),
            bar=Bar("value", ">=", 1)),
        Row("crowd", f"{n} peers: links a peer", "", Source("crowd", "idle", "links")),
        Row("crowd", f"{n} peers: memory a peer, idle", "MiB",
            Source("crowd", "idle", "pss_mib")),
        Row("crowd", f"{n} peers: memory a peer, loaded", "MiB",
            Source("crowd", "throughput", "pss_mib")),
        Row("crowd", f"{n} peers: CPU a delivery", "us",
            Source("crowd", "throughput", "cpu_us")),
    ]


def rows(sizes, foreign=()):
    return _speed_rows(foreign) + _life_rows() + _size_rows(sizes) + [
        Row("", "delivered, the worst of all runs", "", Source("", "", "delivered"),
            bar=Bar("value", ">=", 1)),
        Row("", "delivered twice, in all runs", "", Source("", "", "duplicates"),
            bar=Bar("value", "<=", 0)),
    ]


def groups():
    """Names for --only, in the order of the table."""
    return list(dict.fromkeys(row.group for row in rows(Sizes()) if row.group))


def needed(all_jobs, wanted):
    """The jobs that these groups of rows take figures from."""
    names = {name for row in rows(Sizes()) if row.group in wanted
             for source in (row.ours, row.reference) if source
             for name in [source.job]}
    return [job for job in all_jobs
            if job.name in names or (job.name.startswith("growth") and "growth" in wanted)]


# --- figures into rows ---------------------------------------------------------
#
# results[round][job][system][phase][figure]; what failed is not there.


def figure(results_of_round, source, system=None):
    phases = results_of_round.get(source.job, {}).get(system or source.system, {})
    return phases.get(source.phase, {}).get(source.figure)


def _of_all(results, name, which):
    """That figure of every phase of our own systems."""
    return [phase[name] for one in results for systems in one.values()
            for system, phases in systems.items() if system in which
            for phase in phases.values() if name in phase]


def _computed(row, results, sizes, which):
    """Rows that several runs contribute to; which: names of our systems."""
    if row.ours.figure == "delivered":
        return [min(_of_all(results, "delivered", which), default=None)]
    if row.ours.figure == "duplicates":
        return [sum(_of_all(results, "duplicates", which))]
    return [figures.spread([figure(one, Source(f"growth{n}", "throughput", "cpu_us", which[0]))
                            for n in sizes.growth]) for one in results]


OTHER = {"ours": "other", "ours_logged": "other_logged", "ours_keyed": "other_keyed"}  # the binaries of --against


def fill(all_rows, results, sizes):
    """Puts the figures of all rounds into the rows."""
    for row in all_rows:
        if not row.ours.job:
            row.values = _computed(row, results, sizes, tuple(OTHER))
            row.others = _computed(row, results, sizes, tuple(OTHER.values()))
            continue
        for one in results:
            row.values.append(figure(one, row.ours))
            row.others.append(figure(one, row.ours, OTHER[row.ours.system]))
            if row.reference:
                row.references.append(figure(one, row.reference))
    return all_rows
