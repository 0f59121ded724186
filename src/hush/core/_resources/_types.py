"""What a type of resources is: how its settings are checked, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from hush.core._expr._record import made, record

if TYPE_CHECKING:
    from pydantic import BaseModel


@runtime_checkable
class MakesResource(Protocol):
    """What code may give in place of settings: an object that makes a resource of itself."""

    def as_resource(self, key: str) -> object:
        """The resource that is called ``key``."""
        ...


class Fault(NamedTuple):
    """What is wrong with settings together: the one it is about, by its own name, what is wrong, how to mend it."""

    setting: str
    message: str
    mend: str = ""


@record
class ResourceKind:
    """One kind of the resources of a category: what ``type: openai`` chooses.

    Third parties add one by an entry point in the group ``hush.resources`` that is called ``category.kind``, such as
    ``llm.acme``.

    Attributes:
        name: As ``type:`` names it; empty for the one kind of a category that has no others.
        model: Gives the pydantic model of its settings, without ``type``, imported when the first is needed. It forbids
            extra keys.
        make: What a resource is, of its key and its settings. It opens nothing; a ``UsageError`` is told as a problem
            of the settings.
        spellings: Other names of settings, with the settings' own; one in a mapping as ``limits.rpm``.
        classes: What ``_class:``, an older spelling of ``type:``, may call it.
        faults: Gives what is wrong with several settings together, such as one that is missing beside another. It is
            given them by their own names, before the model checks them, so that all that is wrong is told at once.
        dropped: Settings of older files that have no meaning any more, with what to write in their place.
    """

    name: str
    model: Callable[[], type[BaseModel]]
    make: Callable[[str, Any], object]
    spellings: Mapping[str, str] = made(default_factory=dict)
    classes: tuple[str, ...] = ()
    faults: Callable[[Mapping[str, Any]], Iterable[Fault]] | None = None
    dropped: Mapping[str, str] = made(default_factory=dict)


@record
class ResourceType:
    """One category of resources.

    Third parties add one by an entry point in the group ``hush.resources`` that is called as the category.

    Attributes:
        category: What stands before the colon of its keys.
        title: How errors speak of one, such as ``"a limit"``.
        kind: The type of what ``make`` gives; code may hand one over in place of settings.
        example: Settings to show where one has to be added.
        kinds: Its kinds, without those that others add.
    """

    category: str
    title: str
    kind: type
    example: str
    kinds: tuple[ResourceKind, ...]
