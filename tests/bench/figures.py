"""Figures made from measured ones; pure."""

import math
import statistics


def percentile(values, share):
    """The value below which that share of them lies (nearest rank); None of none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values):
    known = [v for v in values if v is not None]
    return statistics.median(known) if known else None


def ratio(value, reference):
    if value is None or not reference:
        return None
    return value / reference


def median_ratio(values, references):
    """Both were measured in turns: each value belongs to the reference beside it."""
    return median([ratio(v, r) for v, r in zip(values, references)])


def spread(values):
    """How far the extremes lie apart: 1.0 is flat."""
    known = [v for v in values if v]
    return max(known) / min(known) if known else None


def components(links):
    """Into how many parts do these fall? links: {name: names it is linked to}."""
    left, parts = set(links), 0
    both = {name: set(to) for name, to in links.items()}
    for name, to in links.items():
        for other in to:
            both.setdefault(other, set()).add(name)
    while left:
        parts += 1
        front = {left.pop()}
        while front:
            front = {n for name in front for n in both[name]} & left
            left -= front
    return parts


def short(value):
    """As few digits as tell the difference: 1,234,567  12.3  0.045"""
    if value is None:
        return "-"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
