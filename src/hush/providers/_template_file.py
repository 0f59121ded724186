"""Templates that lie in files: plain text, or YAML with roles or messages."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import yaml

Path = tuple[str | int, ...]
_DEEPEST = 20


class Block(NamedTuple):
    """Where a text of the file stands: its first line, and whether its lines are lines of the file."""

    line: int
    by_line: bool


class TemplateFile(NamedTuple):
    """A file that was read.

    Attributes:
        path: Of the file, absolute.
        prompt: What it holds, as it would be written in code.
        blocks: For each place in it, where it stands.
    """

    path: str
    prompt: Any
    blocks: dict[Path, Block]

    def line_of(self, path: Path, line: int) -> int:
        """The line of the file for a line of the text at ``path``."""
        while path not in self.blocks and path:
            path = path[:-1]
        block = self.blocks.get(path, Block(1, by_line=False))
        return block.line + line - 1 if block.by_line else block.line


class NoTemplate(Exception):
    """A file that is no template: why, how to mend it, and in which line, 0 for the file as a whole."""

    def __init__(self, message: str, mend: str, path: str, line: int = 0) -> None:
        super().__init__(message)
        self.message, self.mend, self.path, self.line = message, mend, path, line


def read_template(path: str | os.PathLike[str], beside: str) -> TemplateFile:
    """Read a file: ``.yaml`` and ``.yml`` as roles or messages, all else as text. Raises ``NoTemplate``.

    ``beside`` is the source file that names it, for a hint where somebody looked for it there.
    """
    full = os.path.abspath(os.fspath(path))
    try:
        with open(full, encoding="utf-8-sig") as file:  # with or without the mark that editors of Windows put first
            text = file.read()
    except UnicodeDecodeError as exc:
        line = exc.object.count(b"\n", 0, exc.start) + 1
        raise NoTemplate(f"the template {path} is not UTF-8", "Save it as UTF-8.", full, line) from exc
    except OSError as exc:
        raise NoTemplate(
            f"the template {full} cannot be read: {exc.strerror or exc}", _mend(path, beside), full
        ) from exc
    if os.path.splitext(full)[1].lower() not in (".yaml", ".yml"):
        return TemplateFile(full, text.removesuffix("\n"), {(): Block(1, by_line=True)})
    blocks: dict[Path, Block] = {}
    return TemplateFile(full, _plain(_composed(text, full), full, (), blocks, set()), blocks)


def _mend(path: str | os.PathLike[str], beside: str) -> str:
    there = os.path.join(os.path.dirname(os.path.abspath(beside)), os.fspath(path))
    if not os.path.isabs(os.fspath(path)) and os.path.isfile(there):
        return (
            "A relative path counts from the working directory. It lies beside the source file: "
            f"template_file=Path(__file__).parent / {os.fspath(path)!r}."
        )
    return "A relative path counts from the working directory."


def _composed(text: str, path: str) -> yaml.Node:
    """The tree of a YAML file: nothing is made of tags, and lines are kept."""
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        line = mark.line + 1 if mark is not None else 0
        raise NoTemplate(f"it is no YAML: {exc.problem or exc.context}", "", path, line) from exc
    except (yaml.YAMLError, RecursionError) as exc:
        raise NoTemplate(f"it is no YAML: {exc}", "", path) from exc
    if root is None:
        raise NoTemplate("the template is empty", 'Write user: "...", or a list of messages.', path)
    return root


def _plain(node: yaml.Node, path: str, at: Path, blocks: dict[Path, Block], seen: set[int]) -> Any:
    """Text, dicts and lists. What stands twice by an alias would grow without bound, and is refused."""
    import yaml

    line = node.start_mark.line + 1
    if id(node) in seen or len(at) > _DEEPEST:
        raise NoTemplate("the template has an alias, or is too deep", "Write it out.", path, line)
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        literal = node.style == "|"
        blocks[at] = Block(line + literal, by_line=literal)
        if node.tag == "tag:yaml.org,2002:null":
            return None
        return str(node.value).removesuffix("\n") if node.style in ("|", ">") else str(node.value)
    blocks[at] = Block(line, by_line=False)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(one, path, (*at, place), blocks, seen) for place, one in enumerate(node.value)]
    found: dict[str, Any] = {}
    assert isinstance(node, yaml.MappingNode)
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise NoTemplate("a key is no text", "Put text that has braces in it into quotes.", path, line)
        if key.value in found:
            raise NoTemplate(f"the key {key.value!r} stands twice", "Delete one of them.", path, line)
        found[key.value] = _plain(value, path, (*at, key.value), blocks, seen)
    return found
