"""What fails in a process comes back as it was raised, or is told as what could not be sent; others go on."""

from __future__ import annotations

import sys
import threading
import traceback
from typing import Any

import pytest

from hush.core import Tolerate, TooManyFailures, TransportError
from kit.processes import HAVE_PROC
from runtime.in_processes import failed, mapped, node

pytestmark = [
    pytest.mark.skipif(not HAVE_PROC, reason="processes are counted in /proc"),
    pytest.mark.usefixtures("nothing_is_left"),
]


class Awkward(Exception):
    """It cannot be made from its args, as many cannot."""

    def __init__(self, code: int, *, why: str) -> None:
        super().__init__(f"code {code}: {why}")
        self.code = code


async def test_an_exception_comes_back_with_all_that_belongs_to_it():
    def deep(x):
        try:
            raise KeyError("inner")
        except KeyError as exc:
            error = ValueError("outer", x)
            error.add_note("a note")
            raise error from exc

    with pytest.raises(ValueError, match="outer") as caught:
        await node(deep).run({"x": 5})
    error = caught.value
    assert error.args == ("outer", 5)
    assert isinstance(error.__cause__, KeyError)
    assert error.__cause__.args == ("inner",)
    assert error.__notes__[0] == "a note"
    assert "in the worker process" in error.__notes__[1]
    assert __file__ in error.__notes__[1]
    assert "in deep" in error.__notes__[1]
    assert error.hush.path == "g/one"
    assert "KeyError: 'inner'" in "".join(traceback.format_exception(error))


class Coded(Exception):
    """It can be made from its args, but would not be the same."""

    def __init__(self, code: Any) -> None:
        super().__init__(f"code {code}")


class Unmakeable(Exception):
    """Not even past its ``__init__``."""

    def __new__(cls, *, code: int) -> Unmakeable:
        return super().__new__(cls, code)

    def __init__(self, *, code: int) -> None:
        pass


async def test_exceptions_that_cannot_be_made_from_their_args_keep_their_type():
    def fail(x):
        if x == 3:
            raise Coded(3)
        if x == 4:
            raise Unmakeable(code=4)
        if x == 1:
            raise Awkward(x, why="because")
        error = Awkward(x, why="lock")
        error.lock = threading.Lock()
        raise error

    found = failed(await mapped(fail).run({"xs": [1, 2, 3, 4]}))
    assert [type(error) for error in found.values()] == [Awkward, Awkward, Coded, TransportError]
    assert [str(error) for error in found.values()][:3] == ["code 1: because", "code 2: lock", "code 3"]
    assert [found[index].code for index in (0, 1)] == [1, 2]
    assert "Unmakeable: 4" in str(found[3])
    assert any("'lock' stayed in the worker process" in note for note in found[1].__notes__)


async def test_a_group_comes_back_whole():
    def fail(x):
        raise ExceptionGroup("two", [ValueError(1), Awkward(2, why="so")])

    with pytest.raises(ExceptionGroup, match="two") as caught:
        await node(fail).run({"x": 1})
    assert [str(error) for error in caught.value.exceptions] == ["1", "code 2: so"]


class Unloadable:
    def __reduce__(self):
        return divmod, (1, 0)


async def test_what_cannot_be_pickled_or_loaded_fails_its_own_item_only():
    def give(x):
        if x == 3:
            return {"y": threading.Lock()}
        if x == 4:
            return {"y": Unloadable()}
        return {"y": 0 if type(x) is not int else x}

    result = await mapped(give).run({"xs": [0, 1, threading.Lock(), 3, 4, Unloadable(), 6]})
    assert result["y"] == [0, 1, None, None, None, None, 6]
    found = failed(result)
    assert {type(error) for error in found.values()} == {TransportError}
    assert "its input 'x'" in str(found[2])
    assert "its output 'y' (a lock)" in str(found[3])
    assert "cannot be loaded here" in str(found[4])
    assert "cannot be loaded in a worker process" in str(found[5])
    assert all(error.hush.item == index for index, error in found.items())


async def test_a_map_that_fails_fast_raises_what_its_item_raised():
    def fail(x):
        if x == 20:
            raise LookupError(x)
        return {"y": x}

    with pytest.raises(LookupError) as caught:
        await mapped(fail, on_error="raise").run({"xs": list(range(1000))})
    assert (caught.value.hush.path, caught.value.hush.item) == ("g/each/one", 20)


async def test_tolerate_counts():
    def fail(x):
        return {"y": 1 // (x % 10)}

    result = await mapped(fail, on_error=Tolerate(count=3)).run({"xs": list(range(30))})
    assert list(failed(result)) == [0, 10, 20]
    with pytest.raises(TooManyFailures):
        await mapped(fail, on_error=Tolerate(count=2)).run({"xs": list(range(30))})


async def test_what_a_process_cannot_import_is_told():
    module = type(sys)("not_on_any_path")
    exec("def there(x):\n    return {'y': x}\n", module.__dict__)
    sys.modules["not_on_any_path"] = module
    try:
        engine = mapped(module.there), node(module.there)
        for one, inputs in zip(engine, ({"xs": [1]}, {"x": 1}), strict=True):
            with pytest.raises(TransportError, match=r"cannot be loaded in a worker process: ModuleNotFoundError"):
                await one.run(inputs)
    finally:
        del sys.modules["not_on_any_path"]
