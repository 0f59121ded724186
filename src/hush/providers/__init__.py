"""Prompts, language models, embeddings and rerankers, as nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hush.providers._files import File
    from hush.providers._prompt import PromptNode

__all__ = ("File", "PromptNode")

# Loaded when they are asked for: the clients of the vendors take their time.
_MODULES = {"File": "_files", "PromptNode": "_prompt"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
