"""The Python blocks of Markdown pages: found, told apart, and run as printed.

A block is compiled under its page's path and lines, so that a traceback shows the page; one that opens with a comment
that names a file, `# news.py`, under that name and its own lines. `await` may stand at a block's top level, and then
running it gives a coroutine. A block marked as `text` right below is what the Python block printed.
"""

from __future__ import annotations

import ast
import builtins
import io
import re
import tokenize
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import CodeType
from typing import Any

from sybil.document import Document
from sybil.parsers.markdown import CodeBlockParser

ROOT = Path(__file__).parents[2]

_HEADING = re.compile(r"^#+ +(.+?)\s*$", re.MULTILINE)
_FENCED = re.compile(
    r"^[ \t]*(?P<fence>```+|~~~+)(?P<mark>[^\n]*)\n.*?^[ \t]*(?P=fence)[ \t]*$", re.MULTILINE | re.DOTALL
)
_FILE_NAME = re.compile(r"# (\w+\.py)\n")


@dataclass(frozen=True)
class Block:
    """One fenced block of Python.

    Attributes:
        line: That of its opening fence, from 1.
        heading: The nearest one above it.
        output: The `text` block right below it.
    """

    path: Path
    line: int
    heading: str
    code: str
    output: str | None = None

    @property
    def where(self) -> str:
        path = self.path.relative_to(ROOT) if self.path.is_relative_to(ROOT) else self.path
        return f"{path}:{self.line}"

    def compile(self) -> CodeType:
        named = _FILE_NAME.match(self.code)
        name, source = (named[1], self.code) if named else (str(self.path), "\n" * self.line + self.code)
        code: CodeType = compile(source, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        return code

    def start(self, namespace: dict[str, Any]) -> Coroutine[Any, Any, None] | None:
        """Run the block in the namespace; if it awaits, nothing has run yet and the coroutine that does is given."""
        begun: Coroutine[Any, Any, None] | None = eval(self.compile(), namespace)
        return begun

    async def run(self, namespace: dict[str, Any]) -> None:
        """Run the block in the namespace, on the loop that runs."""
        begun = self.start(namespace)
        if begun is not None:
            await begun

    def comments(self) -> Iterator[tuple[str, str]]:
        """Each comment, without its `#` and one blank, and what stands before it in its line."""
        for token in tokenize.generate_tokens(io.StringIO(self.code).readline):
            if token.type == tokenize.COMMENT:
                yield token.line[: token.start[1]].strip(), token.string[1:].removeprefix(" ").rstrip()

    def is_fragment(self) -> bool:
        """Whether it shows only a part: it does not compile, or has `...` in it, comments aside."""
        try:
            self.compile()
        except SyntaxError:
            return True
        tokens = tokenize.generate_tokens(io.StringIO(self.code).readline)
        return any("..." in token.string for token in tokens if token.type != tokenize.COMMENT)

    def imports(self) -> list[ast.Import | ast.ImportFrom]:
        """The imports at its top level."""
        return [node for node in self._tree().body if isinstance(node, ast.Import | ast.ImportFrom)]

    def names(self) -> set[str]:
        """The names it reads and does not bind anywhere, builtins aside."""
        read: set[str] = set()
        bound = set(dir(builtins))
        for node in ast.walk(self._tree()):
            match node:
                case ast.Name(id=name):
                    (read if isinstance(node.ctx, ast.Load) else bound).add(name)
                case ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                    bound.add(name)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    bound.add(name)
                case ast.alias(name=name, asname=asname):
                    bound.add(asname or name.partition(".")[0])
        return read - bound

    def _tree(self) -> ast.Module:
        return ast.parse(self.code, str(self.path))


def blocks_of(path: Path) -> list[Block]:
    """The blocks of a page that are marked as Python, in order."""
    document = Document.parse(str(path), *(CodeBlockParser(language, _never) for language in ("python", "text")))
    # A comment in a block looks like a heading, so headings are looked for outside of all fences.
    headings = [(match.start(), match[1]) for match in _HEADING.finditer(without_code(document.text))]
    found: list[Block] = []
    ended = -1  # where the last block of Python ended
    for example in document.examples():
        if example.region.lexemes["arguments"] == "python":
            heading = next((text for at, text in reversed(headings) if at < example.start), "")
            found.append(Block(path, example.line, heading, str(example.parsed)))
            ended = example.end
        elif ended >= 0 and not document.text[ended : example.start].strip():
            found[-1] = replace(found[-1], output=str(example.parsed))
    return found


def _never(_: object) -> None:
    raise NotImplementedError("blocks are run by their own methods")


def fences_of(text: str) -> list[str]:
    """What the fenced blocks of a page are marked as, in order."""
    return [match["mark"].strip() for match in _FENCED.finditer(text)]


def without_code(text: str) -> str:
    """The text with its fenced blocks blanked out; what is left stays at its place."""
    return _FENCED.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
