"""``Drawn``: what can be drawn, as Mermaid, as text, as SVG, and in a notebook by itself."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from hush.core._spec._model import Step
from hush.core.errors import UsageError

if TYPE_CHECKING:
    from hush.core._spec._render import Item

FOLD = 20


class Drawn:
    """Mixed into what describes itself: its ``_describe()`` gives the spec that is drawn.

    Drawings show steps and how they hang together; of values they show at most short literals that an ``Each`` goes
    through. The same graph gives the same drawing. Faulty graphs can be drawn too.
    """

    def _describe(self) -> Step:
        raise NotImplementedError

    def to_text(self, *, width: int | None = 100, fold: int | None = FOLD, ascii_only: bool = False) -> str:
        """The graph as text, a line for each node, in topological order.

        A node stands below what it comes after; ``┌ ├ └`` enclose what runs side by side, ``┃`` stands before what
        is in a container, and ``┊`` before nodes whose order is told in words. ``after a, ~b``: an edge from ``a``, a
        soft one from ``b``; ``reads a``: only references, no edge.

        Args:
            width: Columns that a line may take; ``None`` for as many as it needs.
            fold: More alike nodes side by side than this are drawn as one, which says how many they are. Nodes are
                alike if they come after the same and before the same. ``None`` folds nothing.
            ascii_only: Draw with ASCII alone, for terminals that lack the others. Names stay as they are.
        """
        from hush.core._spec._render_text import to_text

        if width is not None and (isinstance(width, bool) or not isinstance(width, int) or width < 20):
            raise UsageError(f"width={width!r}: it is a number of columns, at least 20, or None.")
        return to_text(self._drawing(fold), width, ascii_only=ascii_only)

    def to_mermaid(self, *, direction: str = "TB", fold: int | None = FOLD) -> str:
        """The graph as a Mermaid flowchart, for pages that draw those.

        Args:
            direction: Where it runs: ``"TB"``, from top to bottom, ``"LR"``, ``"BT"`` or ``"RL"``.
            fold: As in ``to_text``. Mermaid draws 500 links if it is not told otherwise where it is started; a
                remark in the text says so if there are more.
        """
        from hush.core._spec._render_mermaid import DIRECTIONS, to_mermaid

        if direction not in DIRECTIONS:
            raise UsageError(f"direction={direction!r}: it is one of {', '.join(DIRECTIONS)}.")
        return to_mermaid(self._drawing(fold), direction)

    def to_svg(self, *, fold: int | None = FOLD) -> str:
        """The graph as an SVG document, laid out by Graphviz.

        Args:
            fold: As in ``to_text``.

        Raises:
            ImportError: Without the extra: ``pip install "hushflow[svg]"``.
        """
        from hush.core._spec._render_svg import to_svg

        return to_svg(self._drawing(fold))

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """What notebooks choose from: Mermaid, HTML that needs no network, and text."""
        from hush.core._spec._render_html import to_html
        from hush.core._spec._render_mermaid import fits, to_mermaid
        from hush.core._spec._render_text import to_text

        drawing = self._drawing(FOLD)
        bundle = {"text/plain": to_text(drawing), "text/html": to_html(drawing)}
        mermaid = to_mermaid(drawing)
        if fits(mermaid):  # else a notebook would show an error where the picture should be
            bundle["text/vnd.mermaid"] = mermaid
        wanted = include or bundle.keys()
        return {kind: shown for kind, shown in bundle.items() if kind in wanted and kind not in (exclude or ())}

    def _drawing(self, fold: int | None) -> Item:
        from hush.core._spec._render import draw
        from hush.core._spec._render_blocks import folded

        if fold is not None and (isinstance(fold, bool) or not isinstance(fold, int) or fold < 1):
            raise UsageError(f"fold={fold!r}: it is a number of nodes, 1 or more, or None.")
        return folded(draw(self._describe()), fold)
