"""Which models an example asks: yours, if a key or a file says how; else scripted ones, which are free."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hush.core import ResourceHub

FILES = (Path("resources.yaml"), Path.home() / ".hush" / "resources.yaml")


def real_models(wanted: Mapping[str, str], more: Mapping[str, Any] | None = None) -> ResourceHub | None:
    """A hub with a real model for each of the keys ``wanted``, or ``None`` if nothing says how to reach them.

    Args:
        wanted: Key → what OpenAI calls the model that stands for it where there is no file.
        more: Further resources, which the hub is to have in any case.
    """
    file = Path(os.environ["HUSH_CONFIG"]) if "HUSH_CONFIG" in os.environ else next(filter(Path.is_file, FILES), None)
    if file is not None:
        hub = ResourceHub(more, path=file)
        if all(f"llm:{key}" in hub for key in wanted):
            print(f"The models are those of {file}.\n")
            return hub
    if os.environ.get("OPENAI_API_KEY"):
        server = {
            "type": "openai",
            "api_key": "${OPENAI_API_KEY}",
            "base_url": "${OPENAI_BASE_URL:https://api.openai.com/v1}",
        }
        print(f"OPENAI_API_KEY is set: the models are {', '.join(sorted(set(wanted.values())))}, and cost money.\n")
        return ResourceHub(
            {**{f"llm:{key}": {**server, "model": model} for key, model in wanted.items()}, **(more or {})}
        )
    return None


def say_scripted(wanted: Mapping[str, str]) -> None:
    """Say that nobody real is asked, and how to change that."""
    keys = ", ".join(f"llm:{key}" for key in wanted)
    print("There is no key, so the models are scripted ones: they answer from a list and cost nothing.")
    print(f"To ask real ones, set OPENAI_API_KEY, or name {keys} in resources.yaml.\n")
