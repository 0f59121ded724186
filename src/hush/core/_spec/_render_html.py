"""A drawing as HTML that needs nothing else: boxes below each other and side by side, by style attributes alone."""

from __future__ import annotations

from html import escape

from hush.core._spec._render import Item
from hush.core._spec._render_blocks import Block, Layout, arrange, relations
from hush.core._spec._render_words import one_line

_FONT = "font:13px/1.35 system-ui,sans-serif"
# The page's own colours, so that the drawing is readable on dark pages too.
_BOX = "border:1px solid #8889;border-radius:4px;padding:2px 8px;width:max-content"
_CONTAINER = "border:1px solid #8889;border-radius:6px;padding:4px 8px 8px;width:max-content"
_COLOURS = {"map": "#2a7f6f", "for": "#2a7f6f", "while": "#a0622d", "branch": "#6a5acd"}
_COLUMN = "display:flex;flex-direction:column;gap:6px;align-items:flex-start"
_ROW = "display:flex;flex-direction:row;gap:10px;align-items:flex-start"
_WEAVE = f"{_COLUMN};border-left:2px dotted #8889;padding-left:8px"
_SMALL = "font-size:11px;opacity:.75"


def to_html(root: Item) -> str:
    """``root`` as one ``<div>``."""
    parts: list[str] = [f'<div style="{_FONT};overflow-x:auto">']
    _write_item(parts, root, [], [])
    parts.append("</div>")
    return "".join(parts)


def text(value: str) -> str:
    """``value`` as text between tags or in an attribute."""
    return escape(one_line(value), quote=True)


def _write_item(parts: list[str], item: Item, said: list[str], flows: list[str]) -> None:
    style = _BOX if item.body is None else _CONTAINER
    colour = _COLOURS.get(item.kind)
    if colour:
        style = f"{style};border-color:{colour}"
    if item.folded:
        style = f"{style};border-width:3px"
    words = [f"{len(item.folded)} alike, side by side"] if item.folded else []
    if item.kind != "code":
        words.append(item.kind)
    words += [*item.notes, *said]
    parts.append(f'<div style="{style}"><b>{text(item.name)}</b>')
    if words:
        parts.append(f' <span style="{_SMALL}">{text(" · ".join(words))}</span>')
    parts.extend(f'<div style="{_SMALL}">{text(line)}</div>' for line in (*item.lines, *flows))
    if item.body is not None:
        layout = arrange(item.body)
        parts.append('<div style="margin-top:6px">')
        if layout.block is not None:
            _write_block(parts, item, layout, layout.block)
        parts.append("</div>")
    parts.append("</div>")


def _write_block(parts: list[str], owner: Item, layout: Layout, block: Block) -> None:
    assert owner.body is not None
    if block.shape == "step":
        said, flows = relations(owner.body, layout, block.step)
        _write_item(parts, owner.body.items[block.step], said, flows)
        return
    style = {"series": _COLUMN, "parallel": _ROW, "weave": _WEAVE}[block.shape]
    parts.append(f'<div style="{style}">')
    for part in block.parts:
        _write_block(parts, owner, layout, part)
    parts.append("</div>")
