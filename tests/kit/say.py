"""Turns a case into the Hush source that a user would write.

The source is what runs, so what hypothesis prints is a program: with `tests` and `src` on the path it runs as printed.
"""

from __future__ import annotations

from collections.abc import Iterator

from kit import shapes
from kit.conditions import names_of, wording
from kit.shapes import (
    Box,
    Branch,
    Case,
    Cond,
    Graph,
    Leaf,
    Lit,
    Loop,
    Map,
    Node,
    OnError,
    Pack,
    Parent,
    Ref,
    Source,
    Tolerate,
)

ITEM_TIMEOUT_S = 50_000  # longer than all pauses of an item together, shorter than what is stuck

_CLASSES: dict[type, str] = {Leaf: "CodeNode", Branch: "BranchNode", Box: "GraphNode", Map: "MapNode"}
_CLASSES |= {Loop: "WhileLoopNode"}


def source(case: Case, *, inline: bool = False, seed: object = 0, cancel_at: int | None = None) -> str:
    """The case as a program that runs once, as it ran under the seed.

    Args:
        case: What to say.
        inline: Whether every function is a `def` pinned to the loop, but those that are late.
        seed: Of the order in which tasks take their turns, and of how long the slow ones take.
        cancel_at: The pass of the loop in which the run is cancelled.
    """
    nodes = [node for _, node in shapes.nodes_in(case.graph)]
    lines = [
        *_imports(case.graph, nodes),
        "from kit.build import Play",
        "",
        f"play = Play(seed={seed!r})",
        "",
    ]
    for node in nodes:
        if isinstance(node, Leaf):
            lines += [*_function(node, inline), ""]
    lines += ['with GraphNode(name="g") as g:', *_indent(_body(case.graph, inline))]
    lines += ["", f"inputs = {dict(case.given)!r}", ""]
    cancels = "" if cancel_at is None else f", cancel_at={cancel_at}"
    lines += [
        'if __name__ == "__main__":',
        "    from kit.judge import show",
        "",
        f"    show(Hush(g), inputs, seed={seed!r}{cancels})",
    ]
    return "\n".join(lines) + "\n"


def _imports(graph: Graph, nodes: list[Node]) -> list[str]:
    names = {"GraphNode", "Hush", "PARENT"} | {_kind(node) for node in nodes}
    if any(isinstance(node, Map) for node in nodes):
        names.add("Each")
    if any(isinstance(node.on_error, Tolerate) for node in nodes):
        names.add("Tolerate")
    body = " ".join(_body(graph, inline=False))
    names |= {word for word in ("START", "END") if word in body}
    return [f"from hush.core import {', '.join(sorted(names))}"]


def _kind(node: Node) -> str:
    if isinstance(node, Branch) and node.style != "cases":
        return "Branch"
    return "ForLoopNode" if isinstance(node, Map) and node.is_for else _CLASSES[type(node)]


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
    if leaf.does in ("late", "stuck"):
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
    kind = "async def" if leaf.does in ("late", "stuck") or how in ("async", "slow") else "def"
    return [f"{kind} {leaf.name}_fn({', '.join(params)}):", *_indent(body)]


def _names(leaf: Leaf) -> list[str]:
    return [each.name for each in leaf.params]


def _body(graph: Graph, inline: bool) -> list[str]:
    lines: list[str] = []
    for node in graph.nodes:
        lines += _node(node, inline)
    for node in graph.nodes:
        if isinstance(node, Branch) and node.style == "nodes":
            lines.append(node.name + _choices(node))
    if any(node.start for node in graph.nodes):
        feeding = {name for node in graph.nodes for name in (*node.after, *node.soft)}
        feeding |= {node.name for node in graph.nodes if isinstance(node, Branch)}
        lines += [f"{node.name} >> END" for node in graph.nodes if node.name not in feeding]
    return lines


def _node(node: Node, inline: bool) -> list[str]:
    outputs, statements = _writes(node)
    words = [f'name="{node.name}"', *_words(node, inline)]
    if isinstance(node, Branch) and node.style != "cases":
        made = f'Branch("{node.name}"' + "".join(f", {word}" for word in words[1:]) + ")"
        outputs, statements = "", [_write(node, key, target) for key, target in node.writes]
        lines = [f"{node.name} = {made}{_choices(node) if node.style == 'names' else ''}"]
        return lines + statements + _edges(node)
    words += [outputs, f"on_error={_policy(node.on_error)}" if node.on_error else ""]
    made = f"{_kind(node)}({', '.join(word for word in words if word)})"
    if isinstance(node, Leaf | Branch):
        lines = [f"{node.name} = {made}"]
    else:
        lines = [f"with {made} as {node.name}:", *_indent(_body(node.body, inline))]
    return lines + statements + _edges(node)


def _words(node: Node, inline: bool) -> list[str]:
    """The arguments that only this kind of node has, and the inputs."""
    match node:
        case Leaf():
            words = [
                f"code_fn={node.name}_fn",
                _dict("inputs", [(each.name, _say(each.source)) for each in node.params]),
            ]
            if (inline or node.how == "inline") and node.does not in ("late", "stuck"):
                words.append('executor="inline"')
            if node.does == "late":
                words.append("timeout_s=10")
            return words
        case Branch():
            inputs = _dict("inputs", [(name, _say(each)) for name, each in names_of(node)])
            if node.style != "cases":
                return [inputs] if inputs else []
            cases = _dict("cases", [(_condition(cond, node), _target(target)) for cond, target in node.cases])
            return [cases, f"default={_target(node.default)}" if node.has_default else "", inputs]
        case Box():
            return [_dict("inputs", [(key, _say(each)) for key, each in node.inputs])]
        case Map():
            sources = [(key, f"Each({_say(each)})") for key, each in node.each]
            words = [_dict("inputs", [*sources, *((key, _say(each)) for key, each in node.inputs)])]
            words.append("" if node.is_for else f"max_concurrency={node.max_concurrency}")
            words.append(f"batch={node.batch}" if node.batch else "")
            words.append(f"first={node.first}" if node.first else "")
            words.append(f"item_timeout_s={_item_timeout_s(node)}" if node.times_out else "")
            return words
        case Loop():
            words = [_dict("inputs", [(key, _say(each)) for key, each in node.inputs])]
            words.append(f"stop_condition={_stop(node.stop)}" if node.stop else "")
            words.append(f"max_iterations={node.limit}")
            words.append(f'on_limit="{node.on_limit}"' if node.on_limit else "")
            return words


def _item_timeout_s(node: Map) -> int:
    """Far longer than those of the maps inside: which of two equal ones is over first is nobody's law."""
    return ITEM_TIMEOUT_S * 1_000 ** _timing_inside(node.body)


def _timing_inside(graph: Graph) -> int:
    heights = [_timing_inside(n.body) + isinstance(n, Map) for n in graph.nodes if isinstance(n, Box | Loop | Map)]
    return max(heights, default=0)


def _choices(node: Branch) -> str:
    text = ""
    for cond, target in node.cases:
        said = wording(cond, _say) if cond.style == "ref" else f'"{_condition(cond, node)}"'
        text += f".if_({said}, {_target(target, as_node=node.style == 'nodes')})"
    return text + (f".otherwise({_target(node.default, as_node=node.style == 'nodes')})" if node.has_default else "")


def _condition(cond: Cond, node: Branch) -> str:
    names = names_of(node)
    return wording(cond, lambda source: next(name for name, one in names if one == source))


def _target(target: str | None, *, as_node: bool = False) -> str:
    return "END" if target is None else target if as_node else f'"{target}"'


def _stop(cond: Cond) -> str:
    if cond.style == "ref":
        return wording(cond, _say)
    text = wording(cond, _variable)
    names = list(dict.fromkeys(_variable(atom.source) for atom in cond.atoms))
    return f'"{text}"' if cond.style == "text" else f"lambda {', '.join(names)}: {text}"


def _variable(source: Source) -> str:
    assert isinstance(source, Parent)
    return source.key


def _policy(on_error: OnError) -> str:
    if not isinstance(on_error, Tolerate):
        return f'"{on_error}"'
    words = [f"count={on_error.count}"] if on_error.count is not None else []
    words += [f"fraction={on_error.fraction}"] if on_error.fraction is not None else []
    return f"Tolerate({', '.join(words)})"


def _writes(node: Node) -> tuple[str, list[str]]:
    """The first write of each key goes into `outputs=`, the others are statements."""
    outputs: dict[str, str] = {}
    statements = []
    for key, target in node.writes:
        if key in outputs or target == key:
            statements.append(_write(node, key, target))
        else:
            outputs[key] = f'PARENT["{target}"]'
    return _dict("outputs", list(outputs.items())), statements


def _write(node: Node, key: str, target: str) -> str:
    return f'{node.name}["{key}"] >> PARENT["{target}"]'


def _edges(node: Node) -> list[str]:
    lines = [f"START >> {node.name}"] if node.start else []
    for names, sign in ((node.after, ""), (node.soft, "~")):
        if names:
            feeding = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
            lines.append(f"{feeding} >> {sign}{node.name}")
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
            made = {"": "", "apply": ".apply(play.bump)", "plus": " + 1"}
            return f'{node}["{key}"]' + made.get(then, f'["{then}"]')
