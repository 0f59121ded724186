"""Turns a case into the Hush source that a user would write, and that source into a graph that can be run.

The source is what runs, so what hypothesis prints is a program: with `tests` and `src` on the path it runs as printed.
"""

from __future__ import annotations

import asyncio
import contextvars
import linecache
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

from kit import shapes
from kit.faults import Boom
from kit.shapes import Box, Case, Graph, Leaf, Lit, Map, Node, Pack, Parent, Ref, Source

_stain: contextvars.ContextVar[str | None] = contextvars.ContextVar("stain", default=None)


class Play:
    """What the leaves of one run call: pure values, and a record of who was called when."""

    def __init__(self, seed: object = None) -> None:
        self.reset(seed)

    def reset(self, seed: object) -> None:
        """Forget what was recorded; what the next run takes its times from."""
        self.calls: Counter[str] = Counter()
        self.active: Counter[str] = Counter()
        self.most_active: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._seed = seed

    def _enter(self, name: str) -> None:
        self.calls[name] += 1
        if (seen := _stain.get()) not in (None, name):
            self.wrong.append(f"{name} sees the context variable that {seen} set")

    def mix(self, name: str, *values: Any) -> int:
        self._enter(name)
        return shapes.mix(name, *values)

    def nothing(self, name: str, *values: Any) -> None:
        self._enter(name)

    def fussy(self, name: str, *values: Any) -> int:
        self._enter(name)
        if shapes.is_fussy_about(name, *values):
            raise Boom(name)
        return shapes.mix(name, *values)

    def fail(self, name: str, *values: Any) -> int:
        self._enter(name)
        raise Boom(name)

    def cancelled(self, name: str, *values: Any) -> int:
        self._enter(name)
        raise asyncio.CancelledError(f"{name}")

    def late(self, name: str, *values: Any) -> int:
        return 0  # its leaf was called when it fell asleep

    def bad(self, name: str, *values: Any) -> Any:
        self._enter(name)
        return 7

    def flagged(self, name: str, *values: Any) -> int | None:
        return shapes.flag(name, *values)

    def many(self, name: str, count: int, *values: Any) -> list[int | None]:
        self._enter(name)
        return shapes.spread(count, name, *values)

    def empty(self, name: str, *values: Any) -> Any:
        self._enter(name)

    async def pause(self, name: str) -> None:
        """Suspend for a time that the seed decides; longer than any timeout if the leaf is to be late."""
        turns = random.Random(f"{self._seed} {name} {self.calls[name]} {self.active[name]}")
        self.active[name] += 1
        self.most_active[name] = max(self.most_active[name], self.active[name])
        try:
            for _ in range(turns.choice([0, 1, 1, 2])):
                await asyncio.sleep(turns.choice([0, 0, 1, 2, 5]))
        finally:
            self.active[name] -= 1

    async def oversleep(self, name: str) -> None:
        self._enter(name)
        await asyncio.sleep(1000)

    def stain(self, name: str) -> None:
        """Set the context variable that nobody else may see."""
        if (seen := _stain.get()) not in (None, name):
            self.wrong.append(f"{name} sees the context variable that {seen} set")
        _stain.set(name)

    def bump(self, value: Any) -> int:
        return shapes.mix("apply", value)


def source(case: Case, *, inline: bool = False) -> str:
    """The case as a program. `inline`: every function is a `def` pinned to the loop, but those that are late."""
    lines = [
        "from hush.core import END, PARENT, START, CodeNode, Each, GraphNode, Hush, MapNode",
        "from kit.build import Play",
        "",
        "play = Play(seed=0)",
        "",
    ]
    for _, node in shapes.nodes_in(case.graph):
        if isinstance(node, Leaf):
            lines += [*_function(node, inline), ""]
    lines += ['with GraphNode(name="g") as g:', *_indent(_body(case.graph, inline))]
    lines += ["", f"inputs = {dict(case.given)!r}", ""]
    lines += [
        'if __name__ == "__main__":',
        "    from kit.loop import run_virtual",
        "",
        "    print(run_virtual(lambda: Hush(g).run(inputs=inputs), seed=0))",
    ]
    return "\n".join(lines) + "\n"


def build(case: Case, *, inline: bool = False) -> tuple[Any, Play]:
    """The graph of the case, and the record that its leaves write."""
    text = source(case, inline=inline)
    code = _compiled.get(text)
    if code is None:
        name = f"<case {len(_compiled)}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        code = _compiled[text] = compile(text, name, "exec")
    space: dict[str, Any] = {"__name__": "a_case"}
    exec(code, space)
    return space["g"], space["play"]


_compiled: dict[str, Any] = {}


def _indent(lines: list[str]) -> Iterator[str]:
    for line in lines or ["pass"]:
        yield "    " + line


def _function(leaf: Leaf, inline: bool) -> list[str]:
    params = [each.name if each.default is None else f"{each.name}={each.default}" for each in leaf.params]
    given = ", ".join([f'"{leaf.name}"', *([str(leaf.count)] if leaf.does == "many" else []), *_names(leaf)])
    call = f"play.{leaf.does}({given})"
    how = "inline" if inline else leaf.how
    body: list[str] = []
    if leaf.stains:
        body.append(f'play.stain("{leaf.name}")')
    if leaf.does == "late":
        body.append(f'await play.oversleep("{leaf.name}")')
    elif how == "slow":
        body.append(f'await play.pause("{leaf.name}")')
    match leaf.does:
        case "bad" | "empty":
            body.append(f"return {call}")
        case "many":
            body.append(f'return {{"xs": {call}}}')
        case "flagged":
            mixed = ", ".join([f'"{leaf.name}"', *_names(leaf)])
            body.append(f'return {{"v": play.mix({mixed}), "error": {call}}}')
        case _:
            body.append(f'return {{"v": {call}}}')
    kind = "async def" if leaf.does == "late" or how in ("async", "slow") else "def"
    return [f"{kind} {leaf.name}_fn({', '.join(params)}):", *_indent(body)]


def _names(leaf: Leaf) -> list[str]:
    return [each.name for each in leaf.params]


def _body(graph: Graph, inline: bool) -> list[str]:
    lines: list[str] = []
    for node in graph.nodes:
        lines += _node(node, inline)
    if any(node.start for node in graph.nodes):
        feeding = {name for node in graph.nodes for name in node.after}
        lines += [f"{node.name} >> END" for node in graph.nodes if node.name not in feeding]
    return lines


def _node(node: Node, inline: bool) -> list[str]:
    outputs, statements = _writes(node)
    words = [f'name="{node.name}"']
    match node:
        case Leaf():
            words.append(f"code_fn={node.name}_fn")
            words.append(_dict("inputs", [(each.name, _say(each.source)) for each in node.params]))
            if (inline or node.how == "inline") and node.does != "late":
                words.append('executor="inline"')
            if node.does == "late":
                words.append("timeout_s=10")
        case Box():
            words.append(_dict("inputs", [(key, _say(each)) for key, each in node.inputs]))
        case Map():
            sources = [(key, f"Each({_say(each)})") for key, each in node.each]
            words.append(_dict("inputs", [*sources, *((key, _say(each)) for key, each in node.inputs)]))
            words.append(f"max_concurrency={node.max_concurrency}")
    words += [outputs, f'on_error="{node.on_error}"' if node.on_error else ""]
    made = ", ".join(word for word in words if word)
    if isinstance(node, Leaf):
        lines = [f"{node.name} = CodeNode({made})"]
    else:
        kind = "GraphNode" if isinstance(node, Box) else "MapNode"
        lines = [f"with {kind}({made}) as {node.name}:", *_indent(_body(node.body, inline))]
    return lines + statements + _edges(node)


def _writes(node: Node) -> tuple[str, list[str]]:
    """The first write of each key goes into `outputs=`, the others are statements."""
    outputs: dict[str, str] = {}
    statements = []
    for key, target in node.writes:
        if key in outputs or target == key:
            statements.append(f'{node.name}["{key}"] >> PARENT["{target}"]')
        else:
            outputs[key] = f'PARENT["{target}"]'
    return _dict("outputs", list(outputs.items())), statements


def _edges(node: Node) -> list[str]:
    lines = [f"START >> {node.name}"] if node.start else []
    match node.after:
        case ():
            pass
        case (one,):
            lines.append(f"{one} >> {node.name}")
        case several:
            lines.append(f"[{', '.join(several)}] >> {node.name}")
    return lines


def _dict(word: str, pairs: list[tuple[str, str]]) -> str:
    said = ", ".join(f'"{key}": {value}' for key, value in pairs)
    return f"{word}={{{said}}}" if pairs else ""


def _say(source: Source) -> str:
    match source:
        case Lit(value):
            return repr(value)
        case Parent(key):
            return f'PARENT["{key}"]'
        case Pack(parts):
            return f"[{', '.join(_say(part) for part in parts)}]"
        case Ref(node, key, then):
            return f'{node}["{key}"]' + {"": "", "apply": ".apply(play.bump)", "plus": " + 1"}[then]
