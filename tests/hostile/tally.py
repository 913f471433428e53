"""What was tried, and how the bystanders fared: collected by kind of attack over the whole
run, printed at its end.

A *kind* is one sort of hostility ("a field deleted", "slowloris: half a header"). A *hostile
input* is a frame or a connection that no honest client would have made."""

KINDS_MIN = 54
INPUTS_MIN = 10000
AIM_MS = 50
SHOWN = 12  # the slowest kinds


class Kind:
    def __init__(self, name):
        self.name = name
        self.inputs = 0
        self.took = []  # ms, of the bystanders


kinds = {}
crashes = 0
links_lost = 0
growth = {}  # what grew: bytes


def kind(name):
    return kinds.setdefault(name, Kind(name))


def inputs():
    return sum(k.inputs for k in kinds.values())


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def figures(took):
    return f"{percentile(took, 50):8.1f} {percentile(took, 99):8.1f} {max(took):8.1f}"


def report(out):
    if not kinds:
        return
    asked = sorted((k for k in kinds.values() if k.took), key=lambda k: -max(k.took))
    out.section("hostile world")
    out.write_line(f"{inputs()} hostile inputs of {len(kinds)} kinds; "
                   f"{crashes} crashes, {links_lost} honest links lost")
    for what, size in growth.items():
        out.write_line(f"{what}: {size / 1048576:+.2f} MiB")
    if not asked:
        return
    every = [ms for k in asked for ms in k.took]
    slow = sum(percentile(k.took, 99) > AIM_MS for k in asked)
    out.write_line(f"bystanders asked {len(every)} times; "
                   f"99th percentile above {AIM_MS} ms in {slow} of {len(asked)} kinds")
    out.write_line(f"{'answers in ms':40} {'p50':>8} {'p99':>8} {'max':>8}")
    out.write_line(f"{'all':40} {figures(every)}")
    for k in asked[:SHOWN]:
        out.write_line(f"{k.name[:40]:40} {figures(k.took)}")
