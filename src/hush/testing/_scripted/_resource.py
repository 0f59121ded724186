"""``type: scripted``: the kind of models that answer by rule or by script."""

from __future__ import annotations

from typing import Any

from hush.core import UsageError
from hush.core.extend import ResourceKind
from hush.providers.extend import SPELLINGS
from hush.testing._scripted._client import resource_of, scripted_settings
from hush.testing._scripted._errors import ScriptError
from hush.testing._scripted._scripted import ScriptedLLM


def _make(key: str, given: Any) -> Any:
    if given.llm is not None and given.script is not None:
        raise UsageError("llm and script both say what is answered: leave one of them out")
    llm = given.llm
    if llm is None:
        try:
            llm = ScriptedLLM() if given.script is None else ScriptedLLM.from_yaml(given.script)
        except ScriptError as error:
            raise UsageError(str(error)) from None
        except OSError as error:
            raise UsageError(f"the script {given.script!r} cannot be read: {error.strerror}") from None
    return resource_of(key, llm, given)


SCRIPTED = ResourceKind("scripted", scripted_settings, _make, SPELLINGS, ("ScriptedConfig", "MockConfig"))
