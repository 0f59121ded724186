"""The settings of models, as pydantic checks them. Imported when the first of them is read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, create_model

from hush.core.extend import limit_settings

_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Money = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=1)]


def _address(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("should be the address of a server, such as https://api.openai.com/v1")
    if "?" in url or "#" in url:
        raise ValueError("should end with its path: paths are put behind it, and what follows ? would be in logs")
    return url


_Url = Annotated[str, Field(min_length=1), AfterValidator(_address)]


class Settings(BaseModel):
    """What all settings have in common. No value is in an error, since it may be a secret."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, protected_namespaces=())


class Price(Settings):
    """What a million tokens cost, in US dollars."""

    input: _Money
    output: _Money = 0.0
    cached_input: _Money | None = None
    cache_write: _Money | None = None


class Pool(Settings):
    """The connections that one client holds; the names are those of ``httpx.Limits``."""

    max_connections: _Count | None = None
    max_keepalive_connections: Annotated[int, Field(ge=0)] | None = None
    keepalive_expiry: _Seconds | None = None


def _as_pool(given: Any) -> Any:
    """What ``httpx.Limits`` has, which code may give."""
    if isinstance(given, dict | Pool) or not hasattr(given, "max_keepalive_connections"):
        return given
    return {name: getattr(given, name, None) for name in Pool.model_fields}


class Reached(Settings):
    """What it takes to reach a server."""

    api_key: SecretStr | None = None
    base_url: _Url | None = None
    headers: dict[str, SecretStr] = {}
    limits: Any = None  # in the models that are made of this, of the type of a limit's settings
    pool: Annotated[Pool | None, BeforeValidator(_as_pool)] = None
    price: Price | None = None
    timeout_s: _Seconds = 600.0
    connect_timeout_s: _Seconds = 10.0
    silence_timeout_s: _Seconds = 120.0
    http2: bool = False
    ca_bundle: str | None = None
    proxy: SecretStr | None = None


class Model(Reached):
    """A model on a server."""

    model: Annotated[str, Field(min_length=1)]


class ChatModel(Model):
    """A language model."""

    structured: Literal["json_schema", "json_object", "none"] = "json_schema"
    max_tokens: _Count | None = None


class OpenAIModel(ChatModel):
    """One that speaks OpenAI's form."""

    organization: str | None = None
    project: str | None = None
    token_parameter: Literal["max_tokens", "max_completion_tokens"] | None = None


class AzureModel(ChatModel):
    """One that is deployed on Azure: ``base_url`` is the endpoint."""

    base_url: _Url
    model: str = ""
    deployment: str | None = None
    api_version: str | None = None
    token_parameter: Literal["max_tokens", "max_completion_tokens"] | None = None


def with_limits(model: type[Reached]) -> type[Reached]:
    """``model``, whose ``limits`` are those of a ``limit:``."""
    limits: Any = limit_settings()
    found: type[Reached] = create_model(model.__name__, __base__=model, limits=(limits | None, None))
    return found
