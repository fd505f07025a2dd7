"""Charts as SVG text, in plain Python: nothing to install, nothing to load from elsewhere."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 720, 280, 56, 40, 130, 30
COLORS = ("#2563eb", "#f59e0b", "#16a34a", "#dc2626")


def line_chart(title: str, labels: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """One line per series over the same labels."""
    values = [value for line in series.values() for value in line]
    low, high = min(values, default=0), max(values, default=1)
    shapes = [
        f'<polyline fill="none" stroke="{color}" stroke-width="2" points="'
        + " ".join(f"{across(i + 0.5, len(labels)):.1f},{up(value, low, high):.1f}" for i, value in enumerate(line))
        + '"/>'
        for color, line in zip(COLORS, series.values())
    ]
    return chart(title, labels, list(series), low, high, shapes)


def stacked_bars(title: str, labels: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """One bar per label, made of one piece per series."""
    high = max((sum(pieces) for pieces in zip(*series.values())), default=1)
    shapes = []
    for i in range(len(labels)):
        top = 0.0
        for color, pieces in zip(COLORS, series.values()):
            top += pieces[i]
            y, height = up(top, 0, high), up(0, 0, high) - up(pieces[i], 0, high)
            x, width = across(i + 0.1, len(labels)), across(0.8, len(labels)) - LEFT
            shapes.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{color}"/>')
    return chart(title, labels, list(series), 0, high, shapes)


def chart(title: str, labels: Sequence[str], names: Sequence[str], low: float, high: float, shapes: list[str]) -> str:
    """The frame around the shapes: title, scale, legend and the first and last label."""
    legend = [
        f'<rect x="{WIDTH - RIGHT + 12}" y="{TOP + 20 * i}" width="12" height="12" fill="{color}"/>'
        f'<text x="{WIDTH - RIGHT + 30}" y="{TOP + 20 * i + 10}">{escape(name)}</text>'
        for i, (color, name) in enumerate(zip(COLORS, names))
    ]
    scale = [
        f'<text x="{LEFT - 6}" y="{up(value, low, high) + 4:.1f}" text-anchor="end">{value:,.5g}</text>'
        for value in (low, high)
    ]
    ends = [
        f'<text x="{across(i + 0.5, len(labels)):.1f}" y="{HEIGHT - 10}" text-anchor="middle">'
        f"{escape(labels[i])}</text>"
        for i in sorted({0, len(labels) - 1})
        if labels
    ]
    floor = f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="#94a3b8"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        f' role="img" font-family="sans-serif" font-size="12" fill="#334155"><title>{escape(title)}</title>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
        f'<text x="{LEFT}" y="22" font-size="15">{escape(title)}</text>'
        + "".join([floor, *shapes, *scale, *ends, *legend])
        + "</svg>\n"
    )


def across(step: float, steps: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * step / max(1, steps)


def up(value: float, low: float, high: float) -> float:
    room = HEIGHT - TOP - BOTTOM
    return HEIGHT - BOTTOM - room * (value - low) / ((high - low) or 1)
