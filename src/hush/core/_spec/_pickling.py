"""How values are pickled for worker processes: cloudpickle's way, but for files, cached functions and code objects.

Whether something can go there is asked before a run, by the checks, and answered by what will be done then.
"""

from __future__ import annotations

import io
import pickle
import sys
from collections import ChainMap
from collections.abc import Callable
from functools import cache, lru_cache, update_wrapper
from importlib import import_module
from types import CodeType
from typing import Any


@cache
def pickler() -> Any:
    """The class that pickles; what it writes is loaded by ``pickle``."""
    base: Any = import_module("cloudpickle").CloudPickler
    reduce = base.dispatch_table[CodeType]

    def with_file(code: CodeType) -> tuple[Any, ...]:
        """Functions that are sent by value keep the name of their file, for tracebacks."""
        make, args, *rest = reduce(code)
        return make, tuple([code.co_filename if one == "<dynamic-code>" else one for one in args]), *rest

    text = base.dispatch_table[io.TextIOWrapper]

    def no_text_file(file: Any) -> Any:
        """Not cloudpickle's way, which is to read the file and send a copy of its text."""
        return text(file) if file is sys.stdout or file is sys.stderr else _no_file(file)

    files = (io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.FileIO)
    own = {
        CodeType: with_file,
        _CACHED: _reduce_cached,
        io.TextIOWrapper: no_text_file,
        **dict.fromkeys(files, _no_file),
    }
    return type("Pickler", (base,), {"dispatch_table": ChainMap(own, base.dispatch_table)})


def dumps(value: Any) -> bytes:
    """``value`` pickled: lambdas and closures too."""
    file = io.BytesIO()
    pickler()(file, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return file.getvalue()


def _no_file(file: Any) -> Any:
    name = getattr(file, "name", None)
    raise TypeError(
        f"an open file{'' if name is None else f' ({name!r})'} stays in its process: pass the path, and open it there"
    )


# --- functools.cache --------------------------------------------------------------------------------------------------
_CACHED: Any = type(lru_cache(lambda: None))


def _reduce_cached(cached: Any) -> Any:
    """By its name, as Python does, where a worker finds it under that; else as its function, with an empty cache."""
    name: str = getattr(cached, "__qualname__", "")
    module = sys.modules.get(getattr(cached, "__module__", None) or "")
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is cached and module is not sys.modules["__main__"]:
        return name
    told = cached.cache_parameters()
    # Its function may speak of it: so it is made first, and given the function then.
    return make_cached, (told["maxsize"], told["typed"]), cached.__wrapped__, None, None, fill_cached


class _Later:
    """In place of a function that is not there yet."""

    fn: Callable[..., Any]

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self.fn(*args, **keywords)


def make_cached(maxsize: int | None, typed: bool) -> Any:
    """In a worker: a cached function that ``fill_cached`` gives its function."""
    return lru_cache(maxsize, typed)(_Later())


def fill_cached(cached: Any, fn: Callable[..., Any]) -> None:
    """In a worker: give ``cached`` its function."""
    cached.__wrapped__.fn = fn
    update_wrapper(cached, fn)
