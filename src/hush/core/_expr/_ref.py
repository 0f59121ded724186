"""``Ref``: what ``node["k"]`` gives. It records what is done to it, and does it when the value is read."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NoReturn

from hush.core._expr._model import Apply, Const, Expr, Read, Sequence, Table, describe, reads
from hush.core._expr._where import caller
from hush.core.errors import UsageError

Value = Any
_CO_COROUTINE = 0x80  # inspect.CO_COROUTINE, without the import


def _contains(container: Value, item: Value) -> bool:
    return item in container


def _within(item: Value, container: Value) -> bool:
    return item in container


def _logical_not(value: Value) -> Value:
    # ``~`` on a comparison's result means "not"; on an int it keeps its meaning.
    return not value if isinstance(value, bool) else ~value


def _apply(value: Value, fn: Callable[..., Any], *args: Value, **kwargs: Value) -> Value:
    return fn(value, *args, **kwargs)


def _binary(form: str, fn: Callable[[Any, Any], Any]) -> Callable[[Ref, Value], Ref]:
    def record(self: Ref, other: Value) -> Ref:
        return Ref(Apply(form, fn, (self._hush_expr, operand(other))))

    return record


def _reflected(form: str, fn: Callable[[Any, Any], Any]) -> Callable[[Ref, Value], Ref]:
    def record(self: Ref, other: Value) -> Ref:
        return Ref(Apply(form, fn, (operand(other), self._hush_expr)))

    return record


def _unary(form: str, fn: Callable[[Any], Any]) -> Callable[[Ref], Ref]:
    def record(self: Ref) -> Ref:
        return Ref(Apply(form, fn, (self._hush_expr,)))

    return record


def _refused(what: str, mend: str) -> Callable[..., NoReturn]:
    def refuse(self: Ref, *_: Value) -> NoReturn:
        text = describe(self._hush_expr)
        raise UsageError(
            f"{what} of {text} at {caller()}: its value is not known while the graph is written. "
            f"Write {mend.format(text)} instead."
        )

    return refuse


class Handle:
    """What graphs are written with and is no value itself: nodes, ``PARENT``, ``Each``, ``START`` and ``END``."""

    __slots__ = ()


class Ref:
    """A value that will be there when the graph runs: ``node["key"]``, and whatever is done to it.

    Indexing, attributes, method calls, arithmetic, comparison, ``& | ~``, ``.in_()``, ``.contains()`` and
    ``.apply(fn, *args, **kwargs)`` are recorded and done when the value is read. Operands may be references of
    the same graph. What cannot be recorded raises :class:`UsageError` with the line to write instead.
    """

    __slots__ = ("_hush_expr",)

    def __init__(self, expr: Expr) -> None:
        object.__setattr__(self, "_hush_expr", expr)

    _hush_expr: Expr

    # --- recorded -----------------------------------------------------------------------------------------
    def __getitem__(self, key: Value) -> Ref:
        return Ref(Apply("{0}[{1}]", operator.getitem, (self._hush_expr, operand(key))))

    def __getattr__(self, name: str) -> Ref:
        if name.startswith("_"):
            raise AttributeError(f"a reference records no attribute that begins with '_': {name!r}")
        return Ref(Apply("{0}." + name, operator.attrgetter(name), (self._hush_expr,)))

    def __call__(self, *args: Value, **kwargs: Value) -> Ref:
        if isinstance(self._hush_expr, Read):
            raise UsageError(
                f"{describe(self._hush_expr)} is called like a function at {caller()}. To pass it to one, "
                f"write {describe(self._hush_expr)}.apply(fn)."
            )
        parts = (self._hush_expr, *(operand(arg) for arg in args))
        return Ref(Apply("call", operator.call, parts, tuple((k, operand(v)) for k, v in kwargs.items())))

    def apply(self, fn: Callable[..., Any], /, *args: Value, **kwargs: Value) -> Ref:
        """``fn(value, *args, **kwargs)``, called when the value is read."""
        if not callable(fn):
            raise UsageError(f".apply() at {caller()} wants a function, not {fn!r}.")
        if getattr(getattr(fn, "__code__", None), "co_flags", 0) & _CO_COROUTINE:
            name = getattr(fn, "__name__", "fn")
            raise UsageError(
                f".apply({name}) at {caller()} calls an async function where nothing is awaited. "
                f'Make it a node: CodeNode(code_fn={name}, inputs={{"x": {describe(self._hush_expr)}}}).'
            )
        parts = (self._hush_expr, Const(fn), *(operand(arg) for arg in args))
        return Ref(Apply("call", _apply, parts, tuple((k, operand(v)) for k, v in kwargs.items())))

    def in_(self, container: Value) -> Ref:
        """``value in container``."""
        return Ref(Apply("{0} in {1}", _within, (self._hush_expr, operand(container))))

    def contains(self, item: Value) -> Ref:
        """``item in value``."""
        return Ref(Apply("{1} in {0}", _contains, (self._hush_expr, operand(item))))

    __add__, __radd__ = _binary("{0} + {1}", operator.add), _reflected("{0} + {1}", operator.add)
    __sub__, __rsub__ = _binary("{0} - {1}", operator.sub), _reflected("{0} - {1}", operator.sub)
    __mul__, __rmul__ = _binary("{0} * {1}", operator.mul), _reflected("{0} * {1}", operator.mul)
    __truediv__, __rtruediv__ = _binary("{0} / {1}", operator.truediv), _reflected("{0} / {1}", operator.truediv)
    __floordiv__, __rfloordiv__ = _binary("{0} // {1}", operator.floordiv), _reflected("{0} // {1}", operator.floordiv)
    __mod__, __rmod__ = _binary("{0} % {1}", operator.mod), _reflected("{0} % {1}", operator.mod)
    __pow__, __rpow__ = _binary("{0} ** {1}", operator.pow), _reflected("{0} ** {1}", operator.pow)
    __matmul__, __rmatmul__ = _binary("{0} @ {1}", operator.matmul), _reflected("{0} @ {1}", operator.matmul)
    __and__, __rand__ = _binary("{0} & {1}", operator.and_), _reflected("{0} & {1}", operator.and_)
    __or__, __ror__ = _binary("{0} | {1}", operator.or_), _reflected("{0} | {1}", operator.or_)
    __lt__, __le__ = _binary("{0} < {1}", operator.lt), _binary("{0} <= {1}", operator.le)
    __gt__, __ge__ = _binary("{0} > {1}", operator.gt), _binary("{0} >= {1}", operator.ge)
    __eq__ = _binary("{0} == {1}", operator.eq)  # type: ignore[assignment]  # a comparison is recorded
    __ne__ = _binary("{0} != {1}", operator.ne)  # type: ignore[assignment]  # a comparison is recorded
    __neg__, __pos__ = _unary("-{0}", operator.neg), _unary("+{0}", operator.pos)
    __abs__, __invert__ = _unary("abs({0})", operator.abs), _unary("~{0}", _logical_not)

    def __hash__(self) -> NoReturn:
        # Equality is recorded, so it has no hash; the usual way here is a branch whose cases are references.
        text = describe(self._hush_expr)
        raise UsageError(
            f"{text} at {caller()} stands as a key of a dict or set, and its value is not known while the graph is "
            f'written. For the case of a branch write Branch("name").if_({text}, "target"); '
            f"for a key that is made of it: {text}.apply(lambda value: {{value: ...}})."
        )

    # --- refused ------------------------------------------------------------------------------------------
    __bool__ = _refused("the truth", "& for `and`, | for `or`, ~ for `not`, and .in_(values) for `in` around {0}")
    __len__ = _refused("len()", "{0}.apply(len)")
    __iter__ = _refused("iteration", "MapNode(inputs={{'item': Each({0})}})")
    __contains__ = _refused("`in`", "{0}.contains(item)")
    __int__, __float__ = _refused("int()", "{0}.apply(int)"), _refused("float()", "{0}.apply(float)")
    __index__ = _refused("an index", "{0}.apply(...)")
    __str__ = _refused("formatting", "{0}.apply(str), or {0}.apply('...{{}}...'.format)")
    __setitem__ = _refused("assignment into an item", "a node that returns the changed value of {0}")
    __delitem__ = _refused("deletion of an item", "a node that returns the changed value of {0}")
    __round__, __trunc__ = _refused("round()", "{0}.apply(round)"), _refused("int()", "{0}.apply(int)")
    __floor__, __ceil__ = _refused("floor()", "{0}.apply(math.floor)"), _refused("ceil()", "{0}.apply(math.ceil)")
    __complex__, __bytes__ = _refused("complex()", "{0}.apply(complex)"), _refused("bytes()", "{0}.apply(bytes)")
    __divmod__ = __rdivmod__ = _refused("divmod()", "{0}.apply(divmod, other)")
    __xor__ = __rxor__ = _refused("`^`", "{0}.apply(operator.xor, other)")
    __lshift__ = __rlshift__ = _refused("`<<`", "{0}.apply(operator.lshift, other)")
    __reversed__ = _refused("reversed()", "{0}[::-1]")
    __await__ = _refused("await", "inputs={{'x': {0}}} of a node")

    def __format__(self, spec: str) -> str:
        self.__str__()
        return ""

    def __setattr__(self, name: str, value: Value) -> None:
        raise UsageError(f"{describe(self._hush_expr)} cannot be assigned to, at {caller()}.")

    def __repr__(self) -> str:
        return f"<reference {describe(self._hush_expr)}>"

    def __rshift__(self, target: Value) -> Value:
        """``node["k"] >> PARENT["y"]``: write the value to the container of the node."""
        sources = [read.source for read in reads(self._hush_expr)]
        writer = next((source for source in sources if hasattr(source, "_owner")), sources[0])
        return writer._hush_write(self._hush_expr, target)

    def __rrshift__(self, value: Value) -> NoReturn:
        raise UsageError(
            f"{type(value).__name__} >> {describe(self._hush_expr)} at {caller()}: only what a node gives is written. "
            'Return it from a node, and write its key: node["k"] >> PARENT["y"].'
        )


def operand(value: Value) -> Expr:
    """The expression for an operand or argument: a literal or a reference, not a handle."""
    for part in inside(value, (Handle,)):
        name = getattr(part, "name", None)
        mend = f'Name the key that it reads: {name}["key"].' if isinstance(name, str) else "Pass a value."
        raise UsageError(f"{part!r} at {caller()} is not a value. {mend}")
    return to_expr(value)


def to_expr(value: Value) -> Expr:
    """The expression for a value written in ``inputs`` or as an operand: references inside literals are kept."""
    kind = type(value)
    if kind is Ref:
        expr: Expr = value._hush_expr
        return expr
    if kind is slice:
        bounds = (to_expr(value.start), to_expr(value.stop), to_expr(value.step))
        return Apply("{0}:{1}:{2}", slice, bounds) if any(type(part) is not Const for part in bounds) else Const(value)
    if isinstance(value, list | tuple | dict) and inside(value, (Ref,)):
        return _literal(value, {})
    return Const(value)


def inside(value: Value, kinds: tuple[type[Any], ...]) -> list[Any]:
    """The objects of ``kinds`` in a literal, however deep: in its lists, tuples and dicts, each looked into once.

    At C speed where there is nothing to find, because a literal may be a list of a million rows.
    """
    found: list[Any] = []
    todo: list[Any] = [value]
    seen: set[int] = set()
    while todo:
        part = todo.pop()
        if isinstance(part, kinds):
            found.append(part)
        elif isinstance(part, list | tuple | dict) and id(part) not in seen:
            seen.add(id(part))
            values = part.values() if isinstance(part, dict) else part
            if any(issubclass(kind, (list, tuple, dict, *kinds)) for kind in set(map(type, values))):
                todo.extend(values)
    return found


def _literal(value: Value, made: dict[int, Expr | None]) -> Expr:
    """The expression for a literal that holds references somewhere; a part that stands in it twice is made once."""
    if type(value) is Ref or not isinstance(value, list | tuple | dict):
        return to_expr(value)
    if id(value) in made:
        known = made[id(value)]
        if known is None:
            raise UsageError(f"a literal at {caller()} holds itself, and a reference: it has no end.")
        return known
    made[id(value)] = None
    values = value.values() if isinstance(value, dict) else value
    parts = tuple([_literal(part, made) for part in values])
    expr: Expr = Const(value)
    if any(type(part) is not Const for part in parts):
        kind = type(value)
        if kind not in (list, tuple, dict):
            raise UsageError(
                f"a {kind.__name__} at {caller()} holds a reference, which would stay unresolved. "
                "Use a plain list, tuple or dict, and make the other in the function."
            )
        expr = Table(tuple(value), parts) if kind is dict else Sequence(kind, parts)
    made[id(value)] = expr
    return expr
