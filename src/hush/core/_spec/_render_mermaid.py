"""A drawing as a Mermaid flowchart."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from unicodedata import normalize

from hush.core._spec._render import PSEUDO, Body, Item, Link
from hush.core._spec._render_words import one_line

MOST_LINKS, MOST_CHARACTERS = 500, 50_000
"""What Mermaid draws if its page does not set ``maxEdges`` and ``maxTextSize``."""
DIRECTIONS = ("TB", "LR", "BT", "RL")
_SHAPES = {
    "branch": ('{"', '"}'),
    "start": ('(["', '"])'),
    "end": ('(["', '"])'),
    "test": ('{{"', '"}}'),
    "each": ('[/"', '"/]'),
}
_STYLES = {
    "light": "fill:none,stroke:#8886,color:#888",
    "branch": "stroke-width:2px",
    "inside": "fill:none,stroke-dasharray:4 3",
    "alike": "stroke-width:3px",
    "map": "stroke:#2a7f6f,stroke-width:2px",
    "loop": "stroke:#a0622d,stroke-width:2px",
}
_INSIDE = frozenset({"test", "each"})
_FIRST = _INSIDE | {"start"}
_STYLE_OF = {"start": "light", "end": "light", "branch": "branch", "test": "inside", "each": "inside"}
_LONGEST_LABEL = 80
_ARROWS = {
    "edge": "-->",
    "case": "-->",
    "soft": "-.->",
    "reads": "-.->",
    "start": "-->",
    "end": "-->",
    "again": "-.->",
}
# Letters of any script, digits, `_`, `-` and `.` between them, blanks and some more stand as they are; all else could
# mean something to Mermaid, to Markdown or to HTML, each of which reads a label.
_MEANINGFUL = re.compile(r"(?!(?<=[^\W_])[_-](?=[^\W_])|(?<=\d)\.(?=\d))(?:_|[^\w ,=·…←→])")
_NO_NAME = re.compile(r"[^\w-]+")


def to_mermaid(root: Item, direction: str = "TB") -> str:
    """``root`` as the text of a flowchart that runs from top to bottom, or in one of ``DIRECTIONS``."""
    writer = _Writer(direction)
    lines = writer.root(root)
    links = sum(arrow in line for line in lines for arrow in ("-->", "-.->", "==>"))
    if links > MOST_LINKS:
        lines.insert(1, f"    %% {links} links: Mermaid draws {MOST_LINKS} if maxEdges is not set where it is started")
    return "\n".join(lines) + "\n"


def fits(text: str) -> bool:
    """Whether Mermaid draws ``text`` as it is usually set up."""
    return len(text) <= MOST_CHARACTERS and not text.partition("\n")[2].startswith("    %% ")


def escaped(text: str) -> str:
    """``text`` as a label between quotes: one line, cut where it is long, with codes for what could mean something."""
    text = one_line(text).replace("ﬂ°", "fl°")  # Mermaid's own mark for a code, read twice
    if len(text) > _LONGEST_LABEL:
        text = text[: _LONGEST_LABEL - 1] + "…"
    return _MEANINGFUL.sub(_code, text) or "…"  # a label without a letter is none


def _code(match: re.Match[str]) -> str:
    return f"#{ord(match[0])};"


class _Writer:
    """Writes one flowchart; knows which ids are taken, and what is styled how."""

    def __init__(self, direction: str) -> None:
        self.direction = direction
        self.used: set[str] = set()
        self.numbers: defaultdict[str, int] = defaultdict(int)
        self.styled: defaultdict[str, list[str]] = defaultdict(list)

    def root(self, item: Item) -> list[str]:
        lines = [f"flowchart {self.direction}", f"    accTitle: {_NO_NAME.sub(' ', item.name).strip() or 'graph'}"]
        if item.kind == "graph" and item.body is not None and item.body.items:
            self.body(lines, item.body, "    ")
        else:
            self.item(lines, item, "    ")
        for style, how in _STYLES.items():
            if self.styled[style]:
                lines.append(f"    classDef {style} {how}")
                lines.append(f"    class {','.join(self.styled[style])} {style}")
        return lines

    def body(self, lines: list[str], body: Body, indent: str, rest: tuple[str, ...] = ()) -> None:
        """Write what is in a container; ``rest`` is what its title leaves out."""
        ids: dict[int, str] = {}
        # What comes first is written first: Mermaid's layout turns the links of a circle around by this order.
        for number in sorted(range(len(body.items)), key=lambda number: body.items[number].kind not in _FIRST):
            item = body.items[number]
            ids[number] = self.item(lines, replace(item, notes=rest) if item.kind in _INSIDE else item, indent)
        lines.extend(f"{indent}{ids[link.before]} {_arrow(link)} {ids[link.after]}" for link in body.links)

    def item(self, lines: list[str], item: Item, indent: str) -> str:
        """Write ``item`` and give its id."""
        own = self.new_id(item)
        if item.body is not None and item.body.items:
            told = 0 if item.kind == "while" else 1
            # One line: a cluster's title takes no room, and more of it would lie on what is inside.
            lines.append(f'{indent}subgraph {own}["{_title(item, " · ", notes=told)}"]')
            lines.append(f"{indent}    direction {self.direction}")
            self.body(lines, item.body, indent + "    ", rest=item.notes[1:])
            lines.append(f"{indent}end")
            if item.kind != "graph":
                self.styled["loop" if item.kind == "while" else "map"].append(own)
            return own
        left, right = _SHAPES.get(item.kind, ('["', '"]'))
        lines.append(f"{indent}{own}{left}{_title(item, '<br/>')}{right}")
        style = "alike" if item.folded else _STYLE_OF.get(item.kind)
        if style:
            self.styled[style].append(own)
        return own

    def new_id(self, item: Item) -> str:
        """An id that nothing else has: from the name, with a prefix, since words like ``end`` mean something."""
        name = item.kind if item.kind in PSEUDO else item.folded[0] if item.folded else item.name
        plain = re.sub(r"\W+", "_", normalize("NFKD", name).encode("ascii", "ignore").decode()) or "step"
        found = f"n_{plain}"
        while found in self.used:
            self.numbers[plain] += 1
            found = f"n_{plain}_{self.numbers[plain] + 1}"
        self.used.add(found)
        return found


def _title(item: Item, between: str, notes: int | None = None) -> str:
    """The name, the words, and what is told a line each, as far as ``notes`` of the former go."""
    words = [f"{len(item.folded)} alike, side by side"] if item.folded else []
    if item.kind != "code" and item.kind not in _STYLE_OF:
        words.append(item.kind)
    words += item.notes[:notes]
    lines = [escaped(item.name)]
    if item.kind == "each":
        lines += [escaped(line) for line in item.lines]
    if words:
        lines.append(" · ".join([escaped(word) for word in words]))
    return between.join(lines)


def _arrow(link: Link) -> str:
    arrow = "==>" if link.flow else _ARROWS[link.tie]
    lines = [f"{link.flow}: {link.why}", *link.told()[1:]] if link.why else link.told()
    said = "<br/>".join([escaped(line) for line in lines])
    return f'{arrow}|"{said}"|' if said else arrow
