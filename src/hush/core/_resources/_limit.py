"""``limit:name``: how much may go on at once, and how often something may start."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from hush.core._resources._types import ResourceKind, ResourceType
from hush.core._spec._policies import Limit
from hush.core.errors import UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel

_RATES = ("per_second", "per_minute", "tokens_per_minute", "input_tokens_per_minute", "output_tokens_per_minute")
_BOUNDS = ("concurrency", *_RATES)


@cache
def limit_settings() -> type[BaseModel]:
    """The model of the settings of a limit, of a resource of any category too (under ``limits``)."""
    from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, WrapValidator, create_model
    from pydantic_core import PydanticCustomError

    def given(value: object) -> object:
        # pydantic takes true for 1; and a key with nothing behind it would be a bound that silently is none.
        if value is None or isinstance(value, bool):
            raise PydanticCustomError("no_number", "Input should be a number")
        return value

    def or_auto(value: object, check: Callable[[object], object]) -> object:
        if value == "auto":
            return value
        try:
            return check(value)
        except ValidationError:
            pass
        raise PydanticCustomError("no_concurrency", 'Input should be a whole number of 1 or more, or "auto"')

    number = Annotated[float | None, Field(gt=0, allow_inf_nan=False), BeforeValidator(given)]
    count = Annotated[int | None, Field(ge=1), BeforeValidator(given)]
    fields: dict[str, Any] = dict.fromkeys(_RATES, (number, None))
    fields |= {"concurrency": (Annotated[count, WrapValidator(or_auto)], None), "burst": (count, None)}
    return create_model("LimitSettings", __config__=ConfigDict(extra="forbid", frozen=True), **fields)


def limit_of(name: str, settings: Any) -> Limit:
    """The limit that ``settings`` describe, called ``name``. Raises ``UsageError`` if they name no bound."""
    given: dict[str, Any] = {field: getattr(settings, field) for field in settings.model_fields_set}
    if given.keys().isdisjoint(_BOUNDS):
        raise UsageError(f"it names no bound: write at least one of {', '.join(_BOUNDS)}")
    return Limit(**given, name=name)


def _make(key: str, settings: BaseModel) -> Limit:
    return limit_of(key.partition(":")[2], settings)


SPELLINGS = {"rpm": "per_minute", "tpm": "tokens_per_minute"}
"""What providers call them."""


LIMIT = ResourceType(
    category="limit",
    title="a limit",
    kind=Limit,
    example="concurrency: 10",
    kinds=(ResourceKind("", limit_settings, _make, SPELLINGS),),
)
