"""The arithmetic of the comparison: percentiles, gaps, tables, and where tables go in a document."""

import math
import statistics


def percentile(values, share):
    """The smallest value that `share` percent of the values do not exceed (nearest rank)."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    rank = math.ceil(len(ordered) * share / 100)
    return ordered[max(rank, 1) - 1]


def median(values):
    """The middle value."""
    return statistics.median(values)


def ratio(theirs, ours):
    """How many times ours theirs is; `None` where that says nothing."""
    return theirs / ours if ours else None


def gaps(requests, permits):
    """For how long a slot was idle between two calls, in milliseconds.

    `requests` are pairs of when a request had arrived and when its answer had gone out, by the
    server's clock. With `permits` calls open at once the end of the n-th answer lets the request
    number n + `permits` go, so what lies between is what the client adds: reading the answer, giving
    the slot to the next, building and sending that one. It needs no clock in the client.
    """
    arrived = sorted(request[0] for request in requests)
    ended = sorted(request[1] for request in requests)
    return [arrived[at + permits] - ended[at] for at in range(len(ended) - permits)]


def bound(calls, permits, latency):
    """The least time that the calls can take."""
    return calls / permits * latency


def table(head, rows):
    """A table in Markdown: the first column is text, the others are figures."""
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    for row in rows:
        if len(row) != len(head):
            raise ValueError(f"{len(row)} cells under {len(head)} heads: {row}")
        lines.append("| " + " | ".join(str(cell) for cell in row) + " |")
    return "\n".join(lines)


def shown(value, unit="", digits=2):
    """A figure with so many significant digits, and thousands marked; `–` for none."""
    if value is None:
        return "–"
    if value == 0:
        text = "0"
    else:
        places = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
        text = f"{value:,.{places}f}"
    return f"{text} {unit}" if unit else text


def aims(rows):
    """A table of what was aimed at: words, the figure, the limit, its unit, and which side of it is good."""
    cells = []
    for words, value, limit, unit, good in rows:
        met = value <= limit if good == "at most" else value >= limit
        figure, wanted = (f"{number:,.4g} {unit}".strip() for number in (value, limit))
        cells.append([words, f"{good} {wanted}", figure, "yes" if met else "**no**"])
    return table(["what was aimed at", "aim", "measured", "met"], cells)


def marks(part):
    """The comments around a generated section."""
    return f"<!-- bench:{part} begin, written by `just bench` -->", f"<!-- bench:{part} end -->"


def with_section(document, part, text):
    """The document with the section of this name replaced."""
    begin, end = marks(part)
    before, found, rest = document.partition(begin)
    if not found or end not in rest:
        raise ValueError(f"the document has no section `{part}`")
    after = rest[rest.index(end) :]
    return f"{before}{begin}\n\n{text.strip()}\n\n{after}"
