"""``Each``, under the path that the guide uses."""

from __future__ import annotations

from hush.core.nodes._each import Each

__all__ = ("Each",)
