"""What goes over the pipe to a worker process and back: values one by one, and exceptions with what belongs to them.

Values are pickled by cloudpickle, each on its own, so that what cannot be pickled or loaded fails its own item only.
Numbers and strings always can, so where there is nothing else they go as one list, for a tenth of the price.
"""

from __future__ import annotations

import io
import pickle
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hush.core._expr._where import is_own
from hush.core._spec import _pickling
from hush.core.errors import Errors, FailureInfo, TransportError

dumps = _pickling.dumps

_DEEPEST_CHAIN = 16
"""So many causes of causes come along."""

_PLAIN = frozenset({int, float, str, bytes, bool, complex, type(None)})
"""Types, and no subclasses of them, whose values can always be pickled and loaded, and cannot be changed."""


class Parcel(NamedTuple):
    """Pickled values: ``data`` holds one after the other, ``ends`` says where each ends.

    Attributes:
        ends: ``None`` if all values are plain, and ``data`` is the list of them.
        refused: The values that could not be pickled, by place, with the reason; they take no room in ``data``.
    """

    data: bytes
    ends: list[int] | None
    refused: dict[int, Exception]


def _dumper(file: io.BytesIO) -> tuple[Any, Any]:
    """What writes a value to ``file``, and what forgets the values written before."""
    made = _pickling.pickler()(file, protocol=pickle.HIGHEST_PROTOCOL)
    # Past cloudpickle's own dump, which only says more of a RecursionError: it is half of what an item costs.
    # The type is said: Python 3.12 crashes without.
    return pickle.Pickler.dump.__get__(made, type(made)), made.clear_memo


def all_plain(values: Sequence[Any]) -> bool:
    """Whether ``values`` are all numbers, strings, bytes or ``None``."""
    return _PLAIN.issuperset(map(type, values))


def pack(values: Sequence[Any]) -> Parcel:
    """Pickle ``values``, each so that it can be loaded by itself."""
    if all_plain(values):
        return Parcel(pickle.dumps(list(values), pickle.HIGHEST_PROTOCOL), None, {})
    file = io.BytesIO()
    dump, forget = _dumper(file)
    ends: list[int] = []
    refused: dict[int, Exception] = {}
    for place, value in enumerate(values):
        try:
            dump(value)
        except Exception as exc:  # whatever a __reduce__ raises
            refused[place] = exc
            file.seek(ends[-1] if ends else 0)
            file.truncate()
            dump, forget = _dumper(file)
        else:
            forget()
        ends.append(file.tell())
    return Parcel(file.getvalue(), ends, refused)


def unpack(data: bytes, ends: Sequence[int] | None) -> Iterable[Any]:
    """The values of a parcel; in place of one that cannot be loaded, what loading it raised, as ``Unloadable``."""
    if ends is None:
        yield from pickle.loads(data)
        return
    view = memoryview(data)
    start = 0
    for end in ends:
        try:
            yield pickle.loads(view[start:end])
        except Exception as exc:  # whatever a __setstate__ or an import raises
            yield Unloadable(exc)
        start = end


class Unloadable(NamedTuple):
    """In place of a value that could not be loaded."""

    error: Exception


def reason(exc: BaseException) -> str:
    """Why something could not be pickled or loaded, in a line."""
    return f"{type(exc).__name__}: {exc}"


def culprit(value: Any, what: str) -> str:
    """Which part of ``value`` cannot be pickled, by its key: ``what`` names the parts."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            try:
                dumps(part)
            except Exception as exc:
                return f"its {what} {key!r} (a {type(part).__name__}): {reason(exc)}"
    return f"a {type(value).__name__}"


class ErrorParcel(NamedTuple):
    """An exception on its way back.

    Attributes:
        how: ``"pickled"``, ``"made"`` anew from its class and arguments, ``"group"``, or only ``"told"``.
        data: The pickled exception, or its class, arguments and attributes; of one that is told, its text.
        stack: Where it was raised, as text, without the engine's own frames.
        cause: Its ``__cause__``; ``context`` its ``__context__``.
        members: Of a group: what it is made of.
    """

    how: str
    data: Any
    stack: str
    cause: ErrorParcel | None
    context: ErrorParcel | None
    suppress: bool
    members: tuple[ErrorParcel, ...]


def pack_error(exc: BaseException, depth: int = 0) -> ErrorParcel:
    """``exc`` with its notes, its causes and where it was raised."""
    stack = _stack(exc)
    info = exc.__dict__.get("hush")
    if isinstance(info, FailureInfo) and info.errors:
        # A run inside the function ended with it. They would be a hundred exceptions for each one that goes.
        info.errors = Errors((), info.errors.total)
    cause = context = None
    if depth < _DEEPEST_CHAIN:
        cause = pack_error(exc.__cause__, depth + 1) if exc.__cause__ is not None else None
        if exc.__context__ is not None and exc.__context__ is not exc.__cause__:
            context = pack_error(exc.__context__, depth + 1)
    members: tuple[ErrorParcel, ...] = ()
    if isinstance(exc, BaseExceptionGroup) and depth < _DEEPEST_CHAIN:
        members = tuple([pack_error(one, depth + 1) for one in exc.exceptions])
        how, data = "group", _packed_parts(exc, (exc.message,))
    else:
        how, data = _packed_whole(exc)
    return ErrorParcel(how, data, stack, cause, context, exc.__suppress_context__, members)


def _packed_whole(exc: BaseException) -> tuple[str, Any]:
    """As the exception's own ``__reduce__`` has it, if that makes the same again; else from its parts."""
    try:
        data = dumps(exc)
        again = pickle.loads(data)
        if type(again).__qualname__ == type(exc).__qualname__ and str(again) == str(exc):
            return "pickled", data
    except Exception:
        pass  # many exceptions cannot be made from their args
    try:
        data = _packed_parts(exc, exc.args)
        _made(data, ())
        return "made", data
    except Exception as why:
        return "told", f"{type(exc).__module__}.{type(exc).__qualname__}: {_text(exc)} ({reason(why)})"


def _packed_parts(exc: BaseException, args: tuple[Any, ...]) -> bytes:
    """The class, arguments and attributes of an exception; an attribute that cannot be pickled stays behind."""
    attributes: dict[str, Any] = {}
    notes: list[str] = []
    for name, value in exc.__dict__.items():
        try:
            dumps(value)
        except Exception as why:
            if isinstance(value, FailureInfo):
                value.columns = value.nodes = None  # what a map had made so far: it is no part of where it failed
                attributes[name] = value
            else:
                notes.append(f"Hush: its attribute {name!r} stayed in the worker process ({reason(why)})")
        else:
            attributes[name] = value
    return dumps((type(exc), args, attributes, notes))


def _text(exc: BaseException) -> str:
    try:
        return str(exc)
    except Exception as why:
        return f"its __str__ raised {type(why).__name__}"


def _stack(exc: BaseException) -> str:
    trace = exc.__traceback__
    while trace is not None and is_own(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    return "".join(traceback.format_tb(trace)) if trace is not None else ""


def unpack_error(parcel: ErrorParcel) -> BaseException:
    """The exception again: of the same type where that can be, with a note that says where in the worker it was."""
    try:
        exc = _unpacked(parcel)
    except Exception as why:  # its class cannot be imported here, or raises when it is made
        exc = TransportError(f"an exception cannot come back from a worker process ({reason(why)})")
    if parcel.stack:
        exc.add_note(f"Hush: in the worker process:\n{parcel.stack.rstrip()}")
    exc.__context__ = unpack_error(parcel.context) if parcel.context is not None else None
    exc.__cause__ = unpack_error(parcel.cause) if parcel.cause is not None else None
    if exc.__context__ is None:
        exc.__context__ = exc.__cause__
    exc.__suppress_context__ = parcel.suppress
    return exc


def _unpacked(parcel: ErrorParcel) -> BaseException:
    if parcel.how == "told":
        return TransportError(f"an exception cannot come back from a worker process: {parcel.data}")
    if parcel.how == "pickled":
        found = pickle.loads(parcel.data)
        assert isinstance(found, BaseException)
        return found
    more = ([unpack_error(one) for one in parcel.members],) if parcel.how == "group" else ()
    return _made(parcel.data, more)


def _made(data: bytes, more: tuple[Any, ...]) -> BaseException:
    """An exception from its parts, past its ``__init__``, which may want other arguments than it passed on."""
    kind, args, attributes, notes = pickle.loads(data)
    exc: BaseException = kind.__new__(kind, *args, *more)
    exc.__dict__.update(attributes)
    for note in notes:
        exc.add_note(note)
    return exc
