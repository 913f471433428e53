"""The table, the file of figures and the chart; pure but for writing files."""

import json
from html import escape
from pathlib import Path

import figures


# --- table -----------------------------------------------------------------------


def cells(row, against):
    """One line of the table, as text."""
    reference = figures.median(row.references)
    out = [row.title, _with_unit(row.value, row.unit), figures.short(reference),
           figures.short(row.ratio), str(row.bar or ""), row.verdict]
    return out + [figures.short(row.against)] if against else out


def _with_unit(value, unit):
    return f"{figures.short(value)} {unit}".strip() if value is not None else "-"


def table(rows, against=False):
    head = ["row", "ours", "reference", "ratio", "bar", ""] + (["/ other"] if against else [])
    lines = [head] + [cells(row, against) for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join("  ".join(
        text.rjust(width) if 1 <= i <= 3 or i == 6 else text.ljust(width)
        for i, (text, width) in enumerate(zip(line, widths))).rstrip() for line in lines)


# --- figures ---------------------------------------------------------------------


def as_json(rows, raw):
    """Everything: medians by row, and what they were made of."""
    return {**raw, "rows": [{
        "group": row.group, "title": row.title, "unit": row.unit, "ours": row.value,
        "reference": figures.median(row.references), "ratio": row.ratio,
        "bar": str(row.bar or ""), "verdict": row.verdict, "against": row.against,
        "rounds": row.values, "reference_rounds": row.references, "other_rounds": row.others,
    } for row in rows]}


# --- chart -----------------------------------------------------------------------

WIDTH, NAMES, LANE, TOP = 820, 280, 40, 50
BARS = WIDTH - NAMES - 180  # the longest bar; beside it stands its figure
STYLE = """
text { font: 13px sans-serif; fill: #1f2328 } .dim { fill: #59636e }
.ground { fill: #ffffff } .ours { fill: #0969da } .reference { fill: #9a9fa6 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .dim { fill: #9198a1 } .ground { fill: #0d1117 }
.ours { fill: #4493f8 } .reference { fill: #656c76 } }
"""


def _bar(kind, y, value, most, unit):
    length = max(1.0, BARS * value / most)
    return (f'<rect class="{kind}" x="{NAMES}" y="{y}" width="{length:.1f}" height="13" rx="2"/>'
            f'<text x="{NAMES + length + 6:.1f}" y="{y + 11}">'
            f'{escape(_with_unit(value, unit))}</text>')


def _lane(row, y):
    ours, reference = row.value, figures.median(row.references)
    most = max(ours, reference)
    return (f'<text x="{NAMES - 10}" y="{y + 19}" text-anchor="end">{escape(row.title)}</text>'
            + _bar("ours", y, ours, most, row.unit)
            + _bar("reference", y + 15, reference, most, row.unit))


def chart(rows, facts):
    """Ours above, what it is compared with below it; each pair has a scale of its own."""
    shown = [row for row in rows if row.value and figures.median(row.references)]
    height = TOP + LANE * len(shown) + 10
    lanes = "\n".join(_lane(row, TOP + LANE * i) for i, row in enumerate(shown))
    machine = escape(f"{facts.get('cpu', '')}, {facts.get('cores', '')} cores; medians")
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" \
width="{WIDTH}" height="{height}" role="img" aria-label="Measured beside its yardsticks">
<style>{STYLE}</style>
<rect class="ground" width="{WIDTH}" height="{height}"/>
<rect class="ours" x="20" y="16" width="13" height="13" rx="2"/><text x="38" y="27">ours</text>
<rect class="reference" x="90" y="16" width="13" height="13" rx="2"/>\
<text x="108" y="27">what follows the / in its name</text>
<text class="dim" x="{WIDTH - 10}" y="27" text-anchor="end">{machine}</text>
{lanes}
</svg>
"""


def write(directory, rows, raw):
    out = Path(directory)
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(rows, raw), indent=1) + "\n"
    (out / "bench.json").write_text(text, encoding="utf-8")
    (out / "bench.svg").write_text(chart(rows, raw["machine"]), encoding="utf-8")
    (out / "bench.txt").write_text(table(rows, bool(raw["against"])) + "\n", encoding="utf-8")
