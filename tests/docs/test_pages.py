"""Our own pages: every block of Python runs and prints what the page says, every link leads somewhere.

The blocks of a page run from top to bottom and share one namespace and one event loop. What a block prints must stand,
line for line, in its comments or in the `text` block right below it; a comment behind a `print(...)` must be printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.printed import ROOT, Block, blocks_of, fences_of, without_code

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKED = [*PAGES, *(page for page in sorted(ROOT.glob("*.md")) if page not in PAGES)]
MARKS = {"python", "text", "bash", "yaml"}  # a block spelt `py` would never be run


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


# --- blocks -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_runs_and_prints_what_the_page_says(page: Path) -> None:
    gc.collect()  # `auto` remembers functions as long as they live, and those of an earlier run are equal to these
    run_page(blocks_of(page))


def run_page(blocks: list[Block]) -> None:
    namespace: dict[str, object] = {"__name__": "__main__"}
    with asyncio.Runner() as runner:
        for block in blocks:
            with naming(block), contextlib.redirect_stdout(io.StringIO()) as printed:
                begun = block.start(namespace)
                if begun is not None:
                    runner.run(begun)
            wrong = wrong_output(block, printed.getvalue().splitlines())
            assert wrong is None, f"{block.where}: {wrong}"


@contextlib.contextmanager
def naming(block: Block) -> Iterator[None]:
    """Say which block an exception comes from."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"in the block at {block.where}")
        raise


def wrong_output(block: Block, printed: list[str]) -> str | None:
    """Say what differs between what a block printed and what the page says that it prints."""
    if block.output is not None:
        said = block.output.splitlines()
        return None if said == printed else f"the page says {said}, printed was {printed}"
    comments = list(block.comments())
    claimed = [comment for before, comment in comments if before.startswith("print(")]
    missing = [comment for comment in claimed if comment not in printed]
    if missing:
        return f"the page says {missing}, printed was {printed}"
    texts = iter([comment for _, comment in comments])
    for line in printed:
        if line not in texts:  # `in` goes on behind the one found before: the order counts
            return f"no comment says {line!r}, which was printed"
    return None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_blocks_are_marked_so_that_those_of_python_are_found(page: Path) -> None:
    marks = fences_of(page.read_text(encoding="utf-8"))
    assert set(marks) <= MARKS
    assert marks.count("python") == len(blocks_of(page))


def test_our_first_page_has_blocks() -> None:
    """A page without any would pass the tests above."""
    assert len(blocks_of(ROOT / "docs" / "parallel-execution.md")) > 20
    assert blocks_of(ROOT / "README.md")


# --- what runs them ---------------------------------------------------------------------------------------------------
def page_of(tmp_path: Path, text: str) -> list[Block]:
    page = tmp_path / "page.md"
    page.write_text(text.replace("'''", "```"), encoding="utf-8")
    return blocks_of(page)


def test_blocks_share_names_and_a_loop_and_may_await(tmp_path: Path) -> None:
    run_page(
        page_of(
            tmp_path,
            """
'''python
import asyncio
loops = []
async def note():
    loops.append(asyncio.get_running_loop())
await note()
'''

and

'''python
await note()
assert loops[0] is loops[1]
print(len(loops))  # 2
'''
""",
        )
    )


@pytest.mark.parametrize("statement", ["assert 1 == 2", "await nothing()", "1 / 0"])
def test_a_block_that_fails_names_file_and_line(tmp_path: Path, statement: str) -> None:
    blocks = page_of(tmp_path, f"# A page\n\n'''python\nx = 1\n{statement}\n'''\n")
    with pytest.raises((AssertionError, NameError, ZeroDivisionError)) as raised:
        run_page(blocks)
    last = raised.traceback[-1]
    assert (Path(last.path).name, last.lineno + 1) == ("page.md", 5)
    assert raised.value.__notes__ == [f"in the block at {tmp_path / 'page.md'}:3"]


@pytest.mark.parametrize(
    ("block", "wrong"),
    [
        ("print(1)  # 1", None),
        ("print(1)\n# 1", None),
        ("print(1)  # one\n# 1", "the page says ['one'], printed was ['1']"),
        ("print(1)", "no comment says '1', which was printed"),
        ("print(1)\nprint(2)\n# 2\n# 1", "no comment says '2', which was printed"),
        ("if False:\n    print(1)  # 1", "the page says ['1'], printed was []"),
        ("for n in (1, 2):  # 1\n    print(n)\n# 2", None),
        ("print(1)\n'''\n\n'''text\n1", None),
        ("print(1)\n'''\n\n'''text\n2", "the page says ['2'], printed was ['1']"),
        ("x = 1  # any comment", None),
    ],
)
def test_what_is_printed_must_stand_in_the_page(tmp_path: Path, block: str, wrong: str | None) -> None:
    blocks = page_of(tmp_path, f"'''python\n{block}\n'''\n")
    if wrong is None:
        run_page(blocks)
        return
    with pytest.raises(AssertionError) as raised:
        run_page(blocks)
    assert str(raised.value).startswith(f"{tmp_path / 'page.md'}:1: {wrong}")


def test_a_block_may_name_its_own_file(tmp_path: Path) -> None:
    [block] = page_of(tmp_path, "# A page\n\n'''python\n# news.py\n1 / 0\n'''\n")
    with pytest.raises(ZeroDivisionError) as raised:
        block.start({})
    trace = raised.tb
    while trace.tb_next is not None:
        trace = trace.tb_next
    assert (trace.tb_frame.f_code.co_filename, trace.tb_lineno) == ("news.py", 2)


# --- links ------------------------------------------------------------------------------------------------------------
_INLINE_CODE = re.compile(r"(`+)[^`].*?\1", re.DOTALL)
_LINK = re.compile(r"\]\(\s*<?([^)<>\s]+)>?(?:\s+[\"'][^)]*)?\)|^\[[^\]^]+\]:\s*<?(\S+?)>?(?:\s|$)", re.MULTILINE)
_FOREIGN = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//")


def links_of(text: str) -> list[str]:
    """The targets of a page's links and images, those to other places of the net left out."""
    prose = _INLINE_CODE.sub("", without_code(text))
    targets = [match[1] or match[2] for match in _LINK.finditer(prose)]
    return [target for target in targets if not _FOREIGN.match(target)]


def anchors_of(text: str) -> set[str]:
    """What `#...` may name: the page's headings, as the usual renderers write them."""
    headings = re.findall(r"^#+ +(.+?)\s*$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(target: str, page: Path, root: Path) -> bool:
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.exists() or not file.is_relative_to(root):
        return False
    return not anchor or (file.suffix == ".md" and anchor in anchors_of(file.read_text(encoding="utf-8")))


def broken_links(page: Path, root: Path) -> list[str]:
    targets = links_of(page.read_text(encoding="utf-8"))
    return [target for target in targets if not leads_somewhere(target, page, root)]


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_every_relative_link_leads_to_a_file_of_the_project(page: Path) -> None:
    assert broken_links(page, ROOT) == []


def test_broken_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# Where & how it is\n", encoding="utf-8")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](gone.md) ![c](gone.png) [d](https://example.org/gone) [e](../outside.md)\n"
        "[f](there.md#where--how-it-is) [g](there.md#gone) [h](#here) [i](#gone) [j](there.md 'a title') [k][ref]\n"
        "`[l](gone-too.md)` [a link\nover lines](gone-over.md)\n\n"
        "[ref]: gone-ref.md\n\n# Here\n\n```text\n[m](gone-too.md)\n```\n",
        encoding="utf-8",
    )
    (tmp_path.parent / "outside.md").touch()
    wrong = ["gone.md", "gone.png", "../outside.md", "there.md#gone", "#gone", "gone-over.md", "gone-ref.md"]
    assert broken_links(page, tmp_path) == wrong
