"""``BranchNode`` and ``Branch``: a choice among nodes of the same graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from hush.core._expr._arguments import checks_arguments
from hush.core._expr._model import Apply, Const, Expr, Read, reads
from hush.core._expr._ref import Ref
from hush.core._expr._where import Where, caller
from hush.core._spec._model import BranchSpec, Case, Source
from hush.core._spec._signature import name_of
from hush.core.errors import UsageError
from hush.core.nodes._describe import Describer, root_of
from hush.core.nodes._handle import Node
from hush.core.nodes._policies import on_a_leaf
from hush.core.nodes._wiring import END, Marker

Value = Any
_MISSING: Any = object()
_HERE = Source(0, None)


class _Written(NamedTuple):
    """A case as it was written: a condition over names, or over references."""

    text: str
    condition: Expr
    names: frozenset[str] | None
    target: str | Node | None
    where: Where


@checks_arguments
class BranchNode(Node):
    """Choose which nodes of the graph run: the target of the first case whose condition holds.

    A target runs only if a branch chose it; its other edges then only order it. The others are skipped, with what comes
    only after them. Nodes that come after a branch and are no targets run as usual, so a join after the arms needs
    nothing special: ``[high, low] >> join``. What it reads of a skipped node is its parameter's default, else ``None``.
    If it may be that nothing is chosen, ``branch >> join`` lets it run all the same. The conditions are tried on the
    loop, one after the other, and none after the first that holds.

    Outputs: ``target``, the name of the chosen node (``None`` for ``END``), and ``matched``, the condition as it was
    written, ``"default"``, or ``None`` where nothing matched and the default is ``END``.

    Args:
        name: Letters, digits, ``_`` and ``-``; unique in its graph.
        cases: Conditions and their targets, tried in this order: ``{"score >= 90": "high"}``. A condition speaks of
            the branch's inputs, in a small grammar: literals, names, comparison, ``and or not in``, arithmetic,
            indexing and ``len``. A target is the name of a node of this graph, also of one made later, the node
            itself, or ``END`` for nothing. A condition that raises fails the branch; it does not count as false.
        default: The target if no condition holds; ``END`` for nothing. Without one that is an error,
            ``NoCaseMatched``, when it happens.
        inputs: Where the names come from: ``{"score": PARENT["score"]}`` or ``{"*": PARENT}``.
        outputs: ``PARENT``, ``{"*": PARENT}``, ``{"target": PARENT["route"]}``.
        on_error: ``"collect"`` goes on if a condition raises or none holds: nothing is chosen then.
    """

    kind = "branch"

    def __init__(
        self,
        name: str | None = None,
        *,
        cases: Mapping[str, Value] = _MISSING,
        default: Value = None,
        inputs: Mapping[str, Value] | None = None,
        outputs: Value = None,
        on_error: str | None = None,
    ) -> None:
        self._cases: list[_Written] = []
        self._conditions: dict[tuple[str, ...], _Written] = {}
        self._default: str | Node | None = None
        self._has_default = False
        super().__init__(name, inputs=inputs, outputs=outputs, timeout_s=None, on_error=on_error)
        if cases is _MISSING and type(self) is BranchNode:
            raise UsageError(f'BranchNode(...) at {self.where} misses cases=: {{"score >= 90": "high"}}.')
        if cases is not _MISSING:
            if not isinstance(cases, Mapping):
                raise UsageError(f"cases={cases!r} at {self.where}: it is a dict of conditions and targets.")
            for condition, target in cases.items():
                self._add_case(condition, target, self.where)
        if default is not None:
            self._set_default(default, self.where)
        self._adopt_sources()

    @staticmethod
    def _instead_of(name: str, value: Value) -> str | None:
        """What to write in place of an argument that branches do not take."""
        return on_a_leaf(name, value)

    def _add_case(self, condition: Value, target: Value, where: Where) -> None:
        to = self._target(target, where)
        if isinstance(condition, str):
            from hush.core._expr._condition import parse_condition  # for the first text only
            from hush.core._expr._condition_lexer import ConditionError, brief

            try:
                parsed = parse_condition(condition)
            except ConditionError as exc:
                mend = f"Write default={target!r} in its place." if condition.strip() in ("else", "*") else exc.mend
                shown = brief(condition, 60)
                self._fault(f"the condition {shown} of {self.name} cannot be read: {exc}", mend, where)
                # It keeps its place, and is taken to speak of all inputs: one mistake is one problem.
                inputs = frozenset(name for name, _ in self._inputs)
                self._cases.append(_Written(condition, Const(None), inputs, to, where))
                return
            form = condition.replace("{", "{{").replace("}", "}}")
            args = tuple([Read(_HERE, name, where) for name in parsed.names])
            names = frozenset(parsed.names)
            case = _Written(condition, Apply(form, parsed.holds, args), names, to, where)
            before = self._conditions.setdefault(parsed.words, case)
            if before.target != to:
                self._fault(
                    f"the condition {condition!r} of {self.name} is never reached: {before.text!r} comes before it",
                    "Take one of the two away, or write another condition.",
                    where,
                )
            self._cases.append(case)
        elif isinstance(condition, Ref):
            text = repr(condition).removeprefix("<reference ").removesuffix(">")
            self._cases.append(_Written(text, condition._hush_expr, None, to, where))
        else:
            raise UsageError(_no_condition(condition, where))

    def _set_default(self, target: Value, where: Where) -> None:
        if self._has_default:
            self._fault(f"{self.name} has two defaults", "Keep one of them.", where)
        self._default = self._target(target, where)
        self._has_default = True

    def _target(self, target: Value, where: Where) -> str | Node | None:
        if target is END:
            return None
        if isinstance(target, Marker) or not isinstance(target, str | Node):
            several = " Several go into a GraphNode, or behind the one that is named." if type(target) is list else ""
            shown = name_of(target) if callable(target) and not isinstance(target, Ref | Marker) else repr(target)
            raise UsageError(f"the target {shown} at {where} is no node. Name one: a node, its name, or END.{several}")
        if target is self or (self._named and target == self.name):
            self._fault(f"{self.name} is its own target", "Name another node; a loop is a WhileLoopNode.", where)
            return None
        return target

    def _adopt_sources(self) -> None:
        """Make nodes that were named, and are in no graph yet, part of this one's."""
        if self._owner is not None and any(source._owner is None for source in self._sources()):
            self._owner._adopt(self)

    def _sources(self) -> list[Node]:
        found = super()._sources()
        for case in self._cases:
            if case.names is None:
                found += [read.source for read in reads(case.condition) if isinstance(read.source, Node)]
        targets = [case.target for case in self._cases] + [self._default]
        return found + [target for target in targets if isinstance(target, Node)]

    def _describe(self) -> BranchSpec:
        given = Describer(self)
        names = dict.fromkeys(name for case in self._cases for name in sorted(case.names or ()))
        inputs, starred = given.inputs(lambda: names)
        cases = tuple(
            [
                Case(
                    case.text,
                    case.condition if case.names is not None else given.expr(case.condition),
                    case.names,
                    self._name_of(case.target, given, case.where),
                    case.where,
                )
                for case in self._cases
            ]
        )
        default = self._name_of(self._default, given, self.where)
        return BranchSpec(
            name=self.name,
            kind=self.kind,
            inputs=inputs,
            starred=starred,
            writes=given.writes(),
            on_error=self._on_error,
            timeout_s=None,
            where=self.where,
            faults=tuple(given.faults),
            cases=cases,
            default=default,
            has_default=self._has_default,
        )

    def _name_of(self, target: str | Node | None, given: Describer, where: Where) -> str | None:
        """The name of a target, which lies in the branch's own graph."""
        if isinstance(target, Node):
            if target._owner is not self._owner:
                given.fault(*self._out_of_sight(target), where)
                return None
            return target.name
        return target

    def _out_of_sight(self, target: Node) -> tuple[str, str]:
        """What is said of a target that lies in another graph."""
        inside, owner = target, target._owner
        while owner is not None and owner is not self._owner:
            inside, owner = owner, owner._owner
        message = f"the target {target.name} of {self.name} lies "
        if owner is not None:
            return f"{message}inside {inside.name!r}", f"Name the container, {inside.name}, in its place."
        if root_of(target) is root_of(self):
            assert target._owner is not None
            mend = 'Write branch["target"] to PARENT, and choose there by another branch.'
            return f"{message}in {target._owner.name!r}, a graph around this one", mend
        return (
            f"{message}in another graph, {target._owner.name if target._owner else 'none'!r}",
            "Make the node in a function, once for each graph.",
        )


def _no_condition(value: Value, where: Where) -> str:
    """What is said of what is neither text nor a reference."""
    if isinstance(value, bool):
        mend = "Python has worked it out already: write == None for `is None`, ~ for `not`, and & for `and`."
    elif callable(value) and not isinstance(value, Node):
        name = name_of(value)
        return (
            f"the condition {name} at {where} is a function, and it is not said what of. "
            f'Write Branch(...).if_(node["k"].apply({"fn" if name == "lambda" else name}), "target").'
        )
    else:
        mend = 'Write node["kind"] == "x", or "kind == \'x\'" with inputs={"kind": node["kind"]}.'
    return f"the condition {value!r} at {where} is neither a reference nor text. {mend}"


@checks_arguments
class Branch(BranchNode):
    """A branch written step by step: ``Branch("router").if_(node["kind"] == "x", "a").otherwise("b")``.

    Args:
        name: As of ``BranchNode``.
        inputs: For conditions written as text: where their names come from.
        outputs: As of ``BranchNode``.
        on_error: As of ``BranchNode``.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        inputs: Mapping[str, Value] | None = None,
        outputs: Value = None,
        on_error: str | None = None,
    ) -> None:
        super().__init__(name, inputs=inputs, outputs=outputs, on_error=on_error)

    def if_(self, condition: Value, target: Value) -> Self:
        """One more case, tried after those before it: ``target`` if ``condition`` holds.

        A condition is a reference, ``(a["n"] > 1) & ~b["done"]``, or text over the branch's inputs. A target is a node,
        the name of one, or ``END`` for nothing. Gives the branch again.
        """
        self._require_open()
        self._add_case(condition, target, caller())
        self._adopt_sources()
        return self

    def otherwise(self, target: Value) -> Self:
        """The target if no condition holds: a node, the name of one, or ``END`` for nothing. Gives the branch again."""
        self._require_open()
        self._set_default(target, caller())
        self._adopt_sources()
        return self

    def _require_open(self) -> None:
        if self._owner is not None and self._owner._closed:
            raise UsageError(
                f"the graph {self._owner.name!r} is fixed since its with block closed; {caller()} comes too late."
            )
