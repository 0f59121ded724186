"""The YAML form of a script, read safely; what is wrong is told with the file and the line."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from os import PathLike, fspath
from typing import Any

from hush.testing._scripted._choices import Choices
from hush.testing._scripted._errors import ScriptError
from hush.testing._scripted._named import check_keys

_ANSWERS = ("rules", "script", "then")
_SETTINGS = (
    "seed", "latency_s", "per_token_s", "api_key", "models", "limits", "model_limits", "embeddings", "faults",
)  # fmt: skip
_MOST_BYTES = 8 << 20
_MOST_VALUES = 200_000


def settings_of(
    path: str | PathLike[str],
) -> tuple[Callable[[], Choices], dict[str, Any], AbstractContextManager[None]]:
    """What a file says: how its answers are made, the other settings, and a block that locates errors of both."""
    name = fspath(path)
    with open(path, encoding="utf-8") as file:
        text = file.read(_MOST_BYTES + 1)
    if len(text) > _MOST_BYTES:
        raise ScriptError(f"{name}: a script has at most {_MOST_BYTES} characters")
    root, given = _read(text, name)

    @contextmanager
    def located() -> Generator[None]:
        try:
            yield
        except ScriptError as error:
            raise _placed(error, root, name) from None

    with located():
        if not isinstance(given, Mapping):
            raise ScriptError("a script is a mapping of settings, such as 'rules:'")
        check_keys(given, (*_ANSWERS, *_SETTINGS), "a script")
        for key in ("rules", "script", "faults", "models"):
            if not isinstance(given.get(key, []), list):
                raise ScriptError(f"{key} is a list", (key,))

    def answers() -> Choices:
        return Choices(given.get("rules", ()), given.get("script") or None, given.get("then", "error"))

    return answers, {key: given[key] for key in _SETTINGS if key in given}, located()


def _read(text: str, name: str) -> tuple[Any, Any]:
    """The document as nodes, which know their places, and as values."""
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            _sized(root, name, {})
        return root, {} if root is None else yaml.safe_load(text)
    except ScriptError:
        raise
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f":{mark.line + 1}"
        raise ScriptError(f"{name}{line}: this is no YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ScriptError(f"{name}: this is no YAML: {type(error).__name__}") from None


def _sized(node: Any, name: str, sizes: dict[int, int]) -> int:
    """How many values a node holds, counting what aliases repeat; too many are refused.

    So is a key that stands twice in one mapping: it would be the last one, silently.
    """
    import yaml

    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) in sizes:
        if not sizes[id(node)]:
            raise ScriptError(f"{name}:{node.start_mark.line + 1}: an alias lies in what it names")
        return sizes[id(node)]
    sizes[id(node)] = 0  # while it is open
    size = 1
    keys: set[str] = set()
    for each in node.value:
        if isinstance(each, tuple):
            key, each = each
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    raise ScriptError(f"{name}:{key.start_mark.line + 1}: {key.value!r} stands here a second time")
                keys.add(key.value)
        size += _sized(each, name, sizes)
        if size > _MOST_VALUES:
            raise ScriptError(f"{name}: there are more than {_MOST_VALUES} values, counting what aliases repeat")
    sizes[id(node)] = size
    return size


def _placed(error: ScriptError, root: Any, name: str) -> ScriptError:
    """The error with the file, and the line of what it is about or of what that lies in."""
    import yaml

    node, line, words = root, 1, ""
    if root is not None:
        line = root.start_mark.line + 1
    for step in error.at:
        words += f"[{step}]" if isinstance(step, int) else f".{step}" if words else str(step)
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == step), None)
            if found is None:
                continue
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
    return ScriptError(f"{name}:{line}: {words}: {error}" if words else f"{name}:{line}: {error}", error.at)
