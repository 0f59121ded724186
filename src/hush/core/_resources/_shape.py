"""What a pydantic model says of the settings below a path: which there are, and whether they are secret."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

if TYPE_CHECKING:
    from pydantic import BaseModel


def fields_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str] | None:
    """The names of the settings that lie at ``path``; ``None`` if these are no settings with names."""
    from pydantic import BaseModel

    found: list[str] = []
    for each in _at(model, path):
        if isinstance(each, type) and issubclass(each, BaseModel):
            found += each.model_fields
    return found or None


def is_secret_at(model: type[BaseModel], path: Sequence[str | int], value: object) -> bool:
    """Whether ``value``, which lies at ``path``, is or holds what is to be a ``SecretStr`` or another ``Secret``.

    One whose class says ``shows_most = True``, an address, is secret if it has a user or a query.
    """
    from pydantic import SecretBytes, SecretStr
    from pydantic.types import Secret

    todo = list(_at(model, path))
    for each in todo:  # grows while it is walked: of a dict or a list, what it holds
        base = get_origin(each) or each
        if isinstance(base, type) and issubclass(base, SecretStr | SecretBytes | Secret):
            return not getattr(base, "shows_most", False) or any(sign in str(value) for sign in "@?")
        if base in (dict, list, tuple, set, frozenset):
            todo += [one for held in get_args(each) for one in _single(held)]
    return False


def _at(model: type[BaseModel], path: Sequence[str | int]) -> list[Any]:
    """The types that what lies at ``path`` may have."""
    from pydantic import BaseModel

    found: list[Any] = [model]
    for part in path:
        below: list[Any] = []
        for each in found:
            base = get_origin(each) or each
            if isinstance(base, type) and issubclass(base, BaseModel):
                field = base.model_fields.get(str(part))
                below += [] if field is None else _single(field.annotation)
            elif base in (dict, list, tuple) and (held := get_args(each)):
                below += _single(held[-1] if base is dict else held[0])
        found = below
    return found


def _single(annotation: Any) -> Iterator[Any]:
    """The types in a union, each without its annotations."""
    from types import UnionType
    from typing import Union

    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _single(get_args(annotation)[0])
    elif origin is Union or origin is UnionType:
        for each in get_args(annotation):
            yield from _single(each)
    else:
        yield annotation
