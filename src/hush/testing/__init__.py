"""What users test their graphs with: virtual time, seeded turns, cancellation everywhere, leaks, scripted models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hush.testing._cancel import cancel_everywhere
    from hush.testing._leaks import LeakCheck, leak_check
    from hush.testing._left import Leak, LeftOver
    from hush.testing._loop import Deadlock, Runaway, VirtualLoop
    from hush.testing._record import Recorder
    from hush.testing._run import Ended, end_of, run_virtual
    from hush.testing._scripted._choices import Rule
    from hush.testing._scripted._errors import ScriptedDisconnect, ScriptedFault, ScriptError
    from hush.testing._scripted._faults import Fault
    from hush.testing._scripted._limits import ServerLimits
    from hush.testing._scripted._reply import Reply, ToolCall, Usage
    from hush.testing._scripted._request import ScriptedRequest
    from hush.testing._scripted._scripted import ScriptedLLM
    from hush.testing._scripted._serving import llm_server

__all__ = (
    "Deadlock",
    "Ended",
    "Fault",
    "Leak",
    "LeakCheck",
    "LeftOver",
    "Recorder",
    "Reply",
    "Rule",
    "Runaway",
    "ScriptError",
    "ScriptedDisconnect",
    "ScriptedFault",
    "ScriptedLLM",
    "ScriptedRequest",
    "ServerLimits",
    "ToolCall",
    "Usage",
    "VirtualLoop",
    "cancel_everywhere",
    "end_of",
    "leak_check",
    "llm_server",
    "run_virtual",
)

# The plug-in lies in this package and is loaded into every pytest of whoever has Hush installed: nothing else may be
# loaded with it.
_MODULES = {
    "Deadlock": "_loop",
    "Ended": "_run",
    "Fault": "_scripted._faults",
    "Leak": "_left",
    "LeakCheck": "_leaks",
    "LeftOver": "_left",
    "Recorder": "_record",
    "Reply": "_scripted._reply",
    "Rule": "_scripted._choices",
    "Runaway": "_loop",
    "ScriptError": "_scripted._errors",
    "ScriptedDisconnect": "_scripted._errors",
    "ScriptedFault": "_scripted._errors",
    "ScriptedLLM": "_scripted._scripted",
    "ScriptedRequest": "_scripted._request",
    "ServerLimits": "_scripted._limits",
    "ToolCall": "_scripted._reply",
    "Usage": "_scripted._reply",
    "VirtualLoop": "_loop",
    "cancel_everywhere": "_cancel",
    "end_of": "_run",
    "leak_check": "_leaks",
    "llm_server": "_scripted._serving",
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
