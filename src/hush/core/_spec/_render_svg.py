"""A drawing as SVG: Graphviz finds the places, what stands there is written here.

Each container is laid out by itself, from the inside out, and is a box of a fixed size for the one around it. Graphviz
gets sizes and numbers, no text: names need no escaping there, and which fonts are installed changes nothing.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from hush.core._spec._render import Body, Item, Link
from hush.core._spec._render_html import text
from hush.core._spec._render_text import columns
from hush.core._spec._render_words import one_line

Point: TypeAlias = tuple[float, float]

_NAME_PX, _WORD_PX = 8.0, 6.4  # the mean width of a letter: 13 px, bold, and 11 px
_NAME_HIGH, _WORD_HIGH = 18.0, 15.0
_AROUND, _INSIDE = 9.0, 12.0
_LONGEST_WAY = 4_000
"""How many rows all links together may pass: Graphviz takes minutes for more. What is over is drawn straight, below."""
_ROUND = {"start", "end", "test", "each"}
_STROKES = {"map": "#2a7f6f", "for": "#2a7f6f", "while": "#a0622d", "branch": "#6a5acd"}
_DASHES = {"soft": "7 4", "reads": "2 3", "again": "7 4", "test": "4 3", "each": "4 3"}
_LONGEST = 60
_ARROW = (
    '<defs><marker id="hush-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
    'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z" fill="#666"/></marker></defs>'
)
_graphviz = threading.Lock()  # it keeps its state in globals


class _Box(NamedTuple):
    """A drawn item: its size, and its markup with its own corner at 0, 0."""

    width: float
    height: float
    markup: list[str]


class _Placed(NamedTuple):
    """The size of the whole, the middles of the boxes, and for each link its curve and its label's middle."""

    size: Point
    middles: list[Point]
    curves: list[tuple[list[Point], Point | None]]


def to_svg(root: Item) -> str:
    """``root`` as an SVG document.

    Raises:
        ImportError: Without pygraphviz, which the extra ``svg`` installs.
    """
    try:
        import pygraphviz  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as exc:
        raise ImportError('SVG needs the extra "svg": pip install "hushflow[svg]"') from exc
    box = _draw(root, pygraphviz)
    width, height = box.width + 2 * _AROUND, box.height + 2 * _AROUND
    left, wide, high = _n(-_AROUND), _n(width), _n(height)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
        f'viewBox="{left} {left} {wide} {high}" font-family="system-ui,sans-serif" font-size="11" fill="#333">'
        f"<title>{text(root.name)}</title>{_ARROW}"
        f'<rect x="{left}" y="{left}" width="{wide}" height="{high}" fill="#fff"/>'
    )
    return "".join([head, *box.markup, "</svg>\n"])


def _draw(item: Item, graphviz: Any) -> _Box:
    words = [f"{len(item.folded)} alike, side by side"] if item.folded else []
    if item.kind != "code" and item.kind not in _ROUND:
        words.append(item.kind)
    words += item.notes
    lines = [_short(" · ".join(words))] if words else []
    if item.kind in _ROUND:  # else what is inside, or the links, say it
        lines += [_short(line) for line in item.lines]
    name = _short(item.name)
    width = max([columns(name) * _NAME_PX, *(columns(line) * _WORD_PX for line in lines)]) + 2 * _INSIDE
    height = _NAME_HIGH + _WORD_HIGH * len(lines) + _INSIDE
    inside: list[str] = []
    if item.body is not None and item.body.items:
        size, inside = _draw_body(item.body, graphviz)
        width = max(width, size[0] + 2 * _INSIDE)
        inside = [f'<g transform="translate({_n((width - size[0]) / 2)} {_n(height)})">', *inside, "</g>"]
        height += size[1] + _INSIDE
    return _Box(width, height, [_frame(item, width, height), *_texts(item, name, lines, width), *inside])


def _frame(item: Item, width: float, height: float) -> str:
    container = item.body is not None
    stroke = _STROKES.get(item.kind, "#bbb" if item.kind in _ROUND else "#888")
    corner = height / 2 if item.kind in ("start", "end") else 6 if container else 4
    dashes = f' stroke-dasharray="{_DASHES[item.kind]}"' if item.kind in _DASHES else ""
    heavy = 3 if item.folded else 1.5 if item.kind in _STROKES else 1
    fill = "#00000008" if container else "#fff"
    return (
        f'<rect width="{_n(width)}" height="{_n(height)}" rx="{_n(corner)}" fill="{fill}" stroke="{stroke}" '
        f'stroke-width="{heavy}"{dashes}/>'
    )


def _texts(item: Item, name: str, lines: list[str], width: float) -> list[str]:
    middle = _n(width / 2)
    weight = "" if item.kind in _ROUND else ' font-weight="600" fill="#111"'
    size = 11 if item.kind in _ROUND else 13
    top = _n(_INSIDE / 2 + 13)
    found = [f'<text x="{middle}" y="{top}" text-anchor="middle" font-size="{size}"{weight}>{text(name)}</text>']
    for at, line in enumerate(lines):
        y = _INSIDE / 2 + _NAME_HIGH + _WORD_HIGH * at + 11
        found.append(f'<text x="{middle}" y="{_n(y)}" text-anchor="middle">{text(line)}</text>')
    return found


def _draw_body(body: Body, graphviz: Any) -> tuple[Point, list[str]]:
    boxes = [_draw(item, graphviz) for item in body.items]
    labels = [[_short(line) for line in link.told()] for link in body.links]
    placed = _place(boxes, body.links, labels, graphviz)
    markup: list[str] = []
    for link, lines, (curve, at) in zip(body.links, labels, placed.curves, strict=True):
        markup += _link(link, lines, curve, at)
    for box, (x, y) in zip(boxes, placed.middles, strict=True):
        markup += [f'<g transform="translate({_n(x - box.width / 2)} {_n(y - box.height / 2)})">', *box.markup, "</g>"]
    return placed.size, markup


def _link(link: Link, lines: list[str], curve: list[Point], at: Point | None) -> list[str]:
    path = f"M{_p(curve[0])}"
    for place in range(1, len(curve) - 3, 3):
        path += f"C{_p(curve[place])} {_p(curve[place + 1])} {_p(curve[place + 2])}"
    path += f"L{_p(curve[-1])}"
    dashes = f' stroke-dasharray="{_DASHES[link.tie]}"' if link.tie in _DASHES and not link.flow else ""
    heavy = ' stroke-width="2.5"' if link.flow else ""
    why = f"<title>{text(f'{link.flow}: {link.why}')}</title>" if link.why else ""
    found = [f'<path d="{path}" fill="none" stroke="#666"{heavy}{dashes} marker-end="url(#hush-arrow)">{why}</path>']
    if at is not None:
        top = at[1] - _WORD_HIGH * len(lines) / 2
        for number, line in enumerate(lines):
            y = top + _WORD_HIGH * number + 11
            found.append(
                f'<text x="{_n(at[0])}" y="{_n(y)}" text-anchor="middle" stroke="#fff" stroke-width="3" '
                f'paint-order="stroke">{text(line)}</text>'
            )
    return found


def _place(boxes: list[_Box], links: Sequence[Link], labels: list[list[str]], graphviz: Any) -> _Placed:
    lines = ['digraph { nodesep=0.3 ranksep=0.4 node [shape=box fixedsize=true label=""];']
    lines += [f"{at} [width={box.width / 72:.3f} height={box.height / 72:.3f}];" for at, box in enumerate(boxes)]
    for at in _curved(len(boxes), links):
        link, said = links[at], ""
        if labels[at]:
            wide = max(columns(line) for line in labels[at]) * _WORD_PX + 8
            said = _LABEL.format(wide=round(wide), high=round(_WORD_HIGH * len(labels[at])))
        back = " constraint=false" if link.tie == "again" else ""
        lines.append(f"{link.before} -> {link.after} [id={at}{said}{back}];")
    lines.append("}")
    with _graphviz, graphviz.AGraph(string="\n".join(lines)) as graph:
        found = json.loads(graph.draw(format="json0", prog="dot"))
    return _read(found, boxes, links)


def _curved(count: int, links: Sequence[Link]) -> list[int]:
    """The numbers of the links that Graphviz gets: all, or of a large graph the short ones, as far as it can."""
    after: list[list[int]] = [[] for _ in range(count)]
    waits = [0] * count
    for link in links:
        if link.tie != "again":
            after[link.before].append(link.after)
            waits[link.after] += 1
    row = [0] * count
    ready = [number for number in range(count) if not waits[number]]
    for number in ready:  # grows while it is walked
        for other in after[number]:
            row[other] = max(row[other], row[number] + 1)
            waits[other] -= 1
            if not waits[other]:
                ready.append(other)
    ways = [abs(row[link.after] - row[link.before]) for link in links]
    if sum(ways) <= _LONGEST_WAY:
        return list(range(len(links)))
    room, kept = _LONGEST_WAY, list[int]()
    for at in sorted(range(len(links)), key=ways.__getitem__):
        room -= ways[at]
        if room < 0 and ways[at] > 1:
            break
        kept.append(at)
    return sorted(kept)


_LABEL = (
    ' label=<<table border="0" cellborder="0" cellspacing="0" cellpadding="0" fixedsize="true" '
    'width="{wide}" height="{high}"><tr><td></td></tr></table>>'
)


def _read(found: Any, boxes: list[_Box], links: Sequence[Link]) -> _Placed:
    _, _, width, height = (float(one) for one in found["bb"].split(","))

    def point(written: str) -> Point:
        x, y = written.split(",")
        return float(x), height - float(y)

    middles: list[Point] = [(0.0, 0.0)] * len(boxes)
    for one in found["objects"]:
        middles[int(one["name"])] = point(one["pos"])
    curves: dict[int, tuple[list[Point], Point | None]] = {}
    for one in found.get("edges", ()):
        end, *control = one["pos"].split()
        label = point(one["lp"]) if "lp" in one else None
        curves[int(one["id"])] = ([*(point(at) for at in control), point(end.removeprefix("e,"))], label)
    for at, link in enumerate(links):
        if at not in curves:
            (x, y), (to_x, to_y) = middles[link.before], middles[link.after]
            straight = [(x, y + boxes[link.before].height / 2), (to_x, to_y - boxes[link.after].height / 2)]
            curves[at] = (straight, ((x + to_x) / 2, (y + to_y) / 2))
    return _Placed((width, height), middles, [curves[at] for at in range(len(links))])


def _short(line: str) -> str:
    line = one_line(line)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _p(at: Point) -> str:
    return f"{_n(at[0])} {_n(at[1])}"
