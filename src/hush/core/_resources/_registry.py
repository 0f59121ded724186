"""The types of resources there are, by their category."""

from __future__ import annotations

from hush.core._resources._limit import LIMIT
from hush.core._resources._types import ResourceType

TYPES: dict[str, ResourceType] = {LIMIT.category: LIMIT}
