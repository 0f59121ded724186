"""A drawing as text for a terminal: a line a step, what runs side by side in brackets, containers behind a bar."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from unicodedata import combining, east_asian_width

from hush.core._spec._render import Body, Item
from hush.core._spec._render_blocks import Block, Layout, arrange, relations
from hush.core._spec._render_words import one_line

_NAME_COLUMNS = 36
"""Words stand in one column behind the names; longer names push theirs out of it."""
_PLAIN_ASCII = str.maketrans(
    {"┌": "/", "├": "+", "└": "\\", "│": "|", "┃": "#", "┊": ":", "→": ">", "←": "<", "…": ".", "·": ","}
)


class _Line(NamedTuple):
    """What stands left of a name or remark, that itself, the words behind it, and what stands left of their rest."""

    lead: str
    name: str
    words: tuple[str, ...] = ()
    below: str = ""


def to_text(root: Item, width: int | None = 100, *, ascii_only: bool = False) -> str:
    """``root`` as lines of at most ``width`` columns; ``None`` cuts nothing."""
    lines: list[_Line] = []
    _write_item(lines, root, "", "", [], [])
    column = 2 + min(max((columns(one.lead + one.name) for one in lines if one.words), default=0), _NAME_COLUMNS)
    text: list[str] = []
    for line in lines:
        for left, words in _wrapped(line, column, width):
            if ascii_only:
                left, words = left.translate(_PLAIN_ASCII), words.translate(_PLAIN_ASCII)
            text.append(_cut((left + words).rstrip(), width, "..." if ascii_only else "…"))
    return "\n".join(text)


def _wrapped(line: _Line, column: int, width: int | None) -> Iterator[tuple[str, str]]:
    """``line`` as what stands left of its words, and these, in as many lines as they need."""
    left, words = line.lead + line.name, ""
    for word in line.words:
        if not words:
            left += " " * max(column - columns(left), 2)
        elif width is not None and columns(left) + columns(words) + columns(word) + 3 > width:
            yield left, words + " ·"
            left, words = line.below.ljust(column), ""
        words += f" · {word}" if words else word
    yield left, words


def columns(text: str) -> int:
    """How many columns of a terminal ``text`` takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def _cut(line: str, width: int | None, mark: str) -> str:
    if width is None or columns(line) <= width:
        return line
    room = max(width - len(mark), 0)
    kept: list[str] = []
    for char in line:
        room -= columns(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept).rstrip() + mark


def _write_item(lines: list[_Line], item: Item, lead: str, below: str, said: list[str], flows: list[str]) -> None:
    """``lead`` stands before the item's own line, ``below`` before all others of it."""
    below += "  " if item.body is None else "┃ "
    words = [f"{len(item.folded)} alike, side by side"] if item.folded else []
    if item.kind != "code":
        words.append(item.kind)
    lines.append(
        _Line(lead, one_line(item.name), tuple([one_line(one) for one in (*words, *item.notes, *said)]), below)
    )
    lines += [_Line(below, one_line(line)) for line in (*item.lines, *flows)]
    if item.body is not None:
        layout = arrange(item.body)
        if layout.block is None:
            lines.append(_Line(below, "(empty)"))
        else:
            _Writer(lines, item.body, layout).write(layout.block, below, below)


class _Writer:
    """Writes the body of one container."""

    def __init__(self, lines: list[_Line], body: Body, layout: Layout) -> None:
        self.lines = lines
        self.body = body
        self.layout = layout

    def write(self, block: Block, lead: str, below: str) -> None:
        if block.shape == "step":
            said, flows = relations(self.body, self.layout, block.step)
            _write_item(self.lines, self.body.items[block.step], lead, below, said, flows)
            return
        if block.shape == "parallel":
            last = len(block.parts) - 1
            for at, part in enumerate(block.parts):
                corner = "┌" if not at else "└" if at == last else "├"
                first = (lead if not at else below) + corner + " "
                self.write(part, first, below + ("│ " if at < last else "  "))
            return
        if block.shape == "weave":  # below each other does not mean one after the other here
            lead, below = lead + "┊ ", below + "┊ "
        for at, part in enumerate(block.parts):
            self.write(part, lead if not at else below, below)
