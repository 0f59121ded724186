"""What users test their graphs with: virtual time, seeded turns, cancellation everywhere, leaks, recorded events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hush.testing._cancel import cancel_everywhere
    from hush.testing._leaks import LeakCheck, leak_check
    from hush.testing._left import Leak, LeftOver
    from hush.testing._loop import Deadlock, Runaway, VirtualLoop
    from hush.testing._record import Recorder
    from hush.testing._run import Ended, end_of, run_virtual

__all__ = (
    "Deadlock",
    "Ended",
    "Leak",
    "LeakCheck",
    "LeftOver",
    "Recorder",
    "Runaway",
    "VirtualLoop",
    "cancel_everywhere",
    "end_of",
    "leak_check",
    "run_virtual",
)

# The plug-in lies in this package and is loaded into every pytest of whoever has Hush installed: nothing else may be
# loaded with it.
_MODULES = {
    "Deadlock": "_loop",
    "Ended": "_run",
    "Leak": "_left",
    "LeakCheck": "_leaks",
    "LeftOver": "_left",
    "Recorder": "_record",
    "Runaway": "_loop",
    "VirtualLoop": "_loop",
    "cancel_everywhere": "_cancel",
    "end_of": "_run",
    "leak_check": "_leaks",
    "run_virtual": "_run",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
