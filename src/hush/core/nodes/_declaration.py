"""``Declaration``: a node as it was written: its name, inputs, outputs and bounds, checked at that line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hush.core._expr._model import Const, Expr, Read
from hush.core._expr._ref import Handle, inside, to_expr
from hush.core._expr._where import Where, caller
from hush.core._spec._model import STAR, Fault, Tolerate, is_reserved
from hush.core.errors import UsageError
from hush.core.nodes._each import Each
from hush.core.nodes._parent import PARENT, Parent, parent_key
from hush.core.nodes._wiring import Wired, open_containers

Value = Any

_NAME = re.compile(r"[\w-]+\Z")


class Declaration(Wired):
    """What a node was given when it was made.

    A wrong type raises at once; any other mistake is kept as a fault, and told with those of the whole graph.
    """

    kind = "node"
    ways_to_fail = '"raise" or "collect"'

    def __init__(
        self,
        name: str | None,
        *,
        inputs: Mapping[str, Value] | None,
        outputs: Value,
        on_error: str | None,
        timeout_s: float | None,
        suggested: str | None = None,
    ) -> None:
        self.where: Where = caller()
        self._owner = None
        self._faults: list[Fault] = []
        self._inputs: list[tuple[str, Expr]] = []
        self._star: Declaration | Parent | None = None
        self._star_is_wrong = False
        self._writes: list[tuple[str, Expr | None, Where]] = []
        if name is not None and not isinstance(name, str):
            raise UsageError(f"name={name!r} at {self.where}: a name is a string.")
        self._named = name is not None
        self.name: str = name if name is not None else suggested or self.kind
        if not is_name(self.name):
            self._fault(f"the name {self.name!r} is not allowed", "Use letters, digits, '_' and '-' only.")
        self._on_error = on_error
        if on_error is not None and not isinstance(on_error, str):
            only = " Tolerate is for the items of a MapNode." if isinstance(on_error, Tolerate) else ""
            raise UsageError(f"on_error={on_error!r} at {self.where}: it is {self.ways_to_fail}.{only}")
        if on_error not in (None, "raise", "collect"):
            self._fault(f"on_error={on_error!r} is not known", f"It is {self.ways_to_fail}.")
        self._timeout_s = self._checked_seconds("timeout_s", timeout_s)
        self._take_inputs(inputs)
        self._take_outputs(outputs)
        containers = open_containers.get()
        if containers:
            containers[-1]._adopt(self)

    def _fault(self, message: str, mend: str, where: Where | None = None) -> None:
        self._faults.append(Fault(message, mend, where or self.where))

    def _checked_seconds(self, name: str, seconds: Value) -> float | None:
        if seconds is None:
            return None
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise UsageError(f"{name}={seconds!r} at {self.where}: it is a number of seconds.")
        if not seconds > 0:
            self._fault(f"{name}={seconds!r} is not above 0", "Give a number of seconds, or leave it out.")
        return float(seconds)

    def _checked_count(self, name: str, value: Value, what: str) -> int | None:
        """``value`` if it is a whole number of at least 1; else ``None``, and a fault that says ``what`` it counts."""
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise UsageError(f"{name}={value!r} at {self.where}: it is a whole number of {what}.")
        if value is None:
            self._fault(f"{name}=None is no number of {what}", "Give one, or leave it out.")
            return None
        if value < 1:
            self._fault(f"{name}={value!r} is below 1", f"Give a number of {what}, 1 or more.")
            return None
        return int(value)

    def _take_inputs(self, inputs: Value) -> None:
        if inputs is None:
            return
        if not isinstance(inputs, Mapping):
            mend = (
                "inputs={'*': " + getattr(inputs, "name", "node") + "}"
                if is_source(inputs)
                else "inputs={'x': node['k']}"
            )
            raise UsageError(f"inputs= at {self.where} is a dict, not {type(inputs).__name__}. Write {mend}.")
        for key, value in inputs.items():
            if not isinstance(key, str):
                raise UsageError(f"the input {key!r} at {self.where}: an input's name is a string.")
            if key == STAR:
                if is_source(value):
                    self._star = value
                else:
                    self._star_is_wrong = True
                    self._fault(
                        f"{{'*': {value!r}}} is neither PARENT nor a node", "Write {'*': PARENT} or {'*': node}."
                    )
            elif isinstance(value, Each):
                self._take_each(key, value)
            else:
                self._inputs.append((key, self._checked_value(key, value)))

    def _take_each(self, key: str, each: Each) -> None:
        self._misplaced(key, each)
        # The input is given all the same: one mistake is one problem.
        self._inputs.append((key, Const(None) if is_source(each.source) else to_expr(each.source)))

    def _misplaced(self, key: str, each: Each) -> None:
        self._fault(
            f"Each(...) is misplaced in the input {key!r} of a {self.kind} node",
            f'Each belongs directly in the inputs of a MapNode: inputs={{"{key}": Each(source)}}.',
            each.where,
        )

    def _checked_value(self, key: str, value: Value) -> Expr:
        self._check_parts(key, value)
        return to_expr(value)

    def _check_parts(self, key: str, value: Value) -> None:
        """Note the handles that stand where a value should."""
        for part in inside(value, (Handle,)):
            if isinstance(part, Each):
                self._misplaced(key, part)
            elif is_source(part):
                name = part.name
                self._fault(f"the input {key!r} is given {name} itself", f'Name the key that it reads: {name}["key"].')
            else:
                self._fault(f"the input {key!r} is given {part!r}, which has no value", 'Read a key: node["key"].')

    def _take_outputs(self, outputs: Value) -> None:
        if outputs is None:
            return
        if outputs is PARENT:
            outputs = {STAR: PARENT}
        if not isinstance(outputs, Mapping):
            raise UsageError(
                f"outputs={outputs!r} at {self.where}: write outputs=PARENT, {{'*': PARENT}}, "
                "{'k': PARENT} or {'k': PARENT['y']}."
            )
        for key, target in outputs.items():
            if not isinstance(key, str):
                raise UsageError(f"the output {key!r} at {self.where}: an output's name is a string.")
            if target is PARENT:
                self._add_write(key, None if key == STAR else Read(self, key, self.where), self.where)
                continue
            to = parent_key(target)
            if to is None or to is ... or key == STAR:
                self._fault(
                    f"the output {key!r} goes to {target!r}, which is not PARENT",
                    f"Write {{'{key}': PARENT}}" + ("." if key == STAR else f" or {{'{key}': PARENT['y']}}."),
                )
            else:
                self._add_write(to, Read(self, key, self.where), self.where)

    def _add_write(self, key: str, expr: Expr | None, where: Where) -> None:
        if is_reserved(key) and not (key == STAR and expr is None):
            self._fault(f"the output name {key!r} is reserved", "Choose another name.", where)
        else:
            self._writes.append((key, expr, where))


def is_name(name: str) -> bool:
    """Whether ``name`` has letters of any script, with their marks, digits, ``_`` and ``-`` only."""
    if _NAME.match(name):
        return True
    from unicodedata import category

    return bool(name) and all(one in "_-" or category(one)[0] in "LMN" for one in name)


def is_source(value: Value) -> bool:
    """Whether ``value`` is a node or ``PARENT``, by itself."""
    return isinstance(value, Declaration) or value is PARENT
