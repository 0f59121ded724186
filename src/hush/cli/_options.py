"""The arguments that several commands take, described once. Shells complete those that are paths."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

Target: TypeAlias = Annotated[
    Path,
    Parameter(
        name="FILE[:graph]",
        help="A Python file, or a module that can be imported, `package.module`. `:graph` names a graph, map, loop or "
        "Hush engine at its top level, or a function without arguments that returns one; needed if there are several.",
    ),
]
Resources: TypeAlias = Annotated[
    Path | None,
    Parameter(
        help="The file of resources. Without it: HUSH_CONFIG, ./resources.yaml, ~/.hush/resources.yaml.",
        metavar="FILE",
    ),
]
Json: TypeAlias = Annotated[bool, Parameter(negative=(), help="Print one document of JSON.")]
