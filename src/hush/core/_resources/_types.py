"""What a type of resources is: how its settings are checked, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hush.core._expr._record import record

if TYPE_CHECKING:
    from pydantic import BaseModel


@record
class ResourceType:
    """One category of resources.

    Attributes:
        category: What stands before the colon of its keys.
        title: How errors speak of one, such as ``"a limit"``.
        model: Gives the pydantic model of its settings, imported when the first is needed. It forbids extra keys.
        make: What a resource is, of its name and its settings: a record. It opens nothing.
        kind: The type of what ``make`` gives; code may hand one over in place of settings.
        spellings: Other names of settings, with the settings' own.
        example: Settings to show where one has to be added.
    """

    category: str
    title: str
    model: Callable[[], type[BaseModel]]
    make: Callable[[str, Any], object]
    kind: type
    spellings: Mapping[str, str]
    example: str
