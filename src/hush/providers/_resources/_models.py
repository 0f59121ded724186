"""The settings of models, as pydantic checks them. Imported when the first of them is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, create_model
from pydantic_core import PydanticCustomError

from hush.core.extend import limit_settings, looks_secret
from hush.providers._resources._packages import is_installed

_ENDPOINTS = ("/chat/completions", "/embeddings", "/rerank", "/messages")


class Address(SecretStr):
    """The address of a server. It is shown without a user, a password and what follows ``?``."""

    shows_most = True

    def _display(self) -> str:
        parts = urlsplit(self.get_secret_value())
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _address(given: Address) -> Address:
    url = given.get_secret_value().strip()
    try:
        parts = urlsplit(url)
        fine = parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
        parts = urlsplit("")
    if not fine or any(character.isspace() for character in url):
        raise PydanticCustomError("no_address", "should be an address with https:// or http:// at its beginning")
    if parts.query or parts.fragment:
        raise PydanticCustomError("no_base", "should end before the ?; Azure's api-version is a setting of its own")
    for endpoint in _ENDPOINTS:  # what is copied from a page is often the address of a request
        url = url.removesuffix("/").removesuffix(endpoint)
    return Address(url)


def _credential(given: SecretStr) -> SecretStr:
    text = given.get_secret_value().strip()  # a key that is read from a file ends with a line end
    if not text:
        raise PydanticCustomError("empty", "should not be empty")
    if not (text.isascii() and text.isprintable()):
        raise PydanticCustomError("no_header", "has characters that no header can carry")
    return SecretStr(text)


def _plain(text: str) -> str:
    text = text.strip()
    if not text:
        raise PydanticCustomError("empty", "should not be empty")
    if looks_secret(text):
        raise PydanticCustomError("misplaced", "looks like a key, which belongs into api_key")
    return text


def _certificates(given: Any) -> Any:
    if given is True or given in ("true", "True"):
        return True
    if not isinstance(given, str):
        raise PydanticCustomError("no_path", "is always on: give the path of your own certificates")
    path = os.path.expanduser(given)
    if not os.path.exists(path):
        raise PydanticCustomError("no_file", "should be a file or folder of certificates, and is not there")
    return path


def _http2(given: bool) -> bool:
    if given and not is_installed("h2"):
        raise PydanticCustomError("no_http2", "needs the package h2: pip install 'hushflow[http2]'")
    return given


def _as_pool(given: Any) -> Any:
    """What ``httpx.Limits`` has, which code may give."""
    if isinstance(given, dict | Pool) or not hasattr(given, "max_keepalive_connections"):
        return given
    return {name: getattr(given, name, None) for name in Pool.model_fields}


_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Money = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int, Field(ge=1)]
_Url = Annotated[Address, AfterValidator(_address)]
_Secret = Annotated[SecretStr, AfterValidator(_credential)]
_Text = Annotated[str, AfterValidator(_plain)]
_TokenParameter = Literal["max_tokens", "max_completion_tokens"]


class Settings(BaseModel):
    """What all settings have in common. No value is in an error, since it may be a secret."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, protected_namespaces=())


class Price(Settings):
    """What a million tokens cost, in US dollars. What is not said of those read from a cache, or written, is input."""

    input: _Money
    output: _Money = 0.0
    cached_input: _Money | None = None
    cache_write: _Money | None = None


class Pool(Settings):
    """The connections that one client holds; the names are those of ``httpx.Limits``."""

    max_connections: _Count | None = None
    max_keepalive_connections: Annotated[int, Field(ge=0)] | None = None
    keepalive_expiry: _Seconds | None = None


class Reached(Settings):
    """What it takes to reach a server, and what bounds it."""

    api_key: _Secret | None = None
    base_url: _Url | None = None
    headers: dict[_Text, _Secret] = {}
    limits: Any = None  # in the models that are made of this, of the type of a limit's settings
    price: Price | None = None
    pool: Annotated[Pool | None, BeforeValidator(_as_pool)] = None
    timeout_s: _Seconds = 600.0
    connect_timeout_s: _Seconds = 10.0
    silence_timeout_s: _Seconds = 120.0
    http2: Annotated[bool, AfterValidator(_http2)] = False
    verify: Annotated[Literal[True] | str, BeforeValidator(_certificates)] = True
    proxy: Annotated[SecretStr, AfterValidator(_credential)] | None = None
    cost_per_input_token: _Money | None = None
    cost_per_output_token: _Money | None = None


class Model(Reached):
    """A model on a server."""

    model: _Text | None = None


class Chat(Model):
    """A language model."""

    schema_mode: Literal["json_schema", "json_object", "none"] = "json_schema"
    max_tokens: _Count | None = None


class OpenAIChat(Chat):
    """One that speaks OpenAI's form."""

    organization: _Text | None = None
    project: _Text | None = None
    token_parameter: _TokenParameter | None = None


class AzureChat(Chat):
    """One that is deployed on Azure: ``base_url`` is the endpoint, and ``model`` may be left out."""

    deployment: _Text | None = None
    api_version: _Text | None = None
    token_parameter: _TokenParameter | None = None


class Vectors(Model):
    """A model that makes vectors of texts."""

    dimensions: _Count | None = None
    organization: _Text | None = None
    project: _Text | None = None


class AzureVectors(Model):
    """One that is deployed on Azure."""

    dimensions: _Count | None = None
    deployment: _Text | None = None
    api_version: _Text | None = None


class Ranking(Model):
    """A model that orders documents."""


_ALL = {each.__name__: each for each in (Chat, OpenAIChat, AzureChat, Vectors, AzureVectors, Ranking)}
_NEEDED: dict[str, Any] = {"model": (_Text, ...), "base_url": (_Url, ...)}


def named(name: str, needs: Sequence[str] = ("model",)) -> type[BaseModel]:
    """The settings called ``name``, with their limits; those in ``needs`` must be given."""
    found: type[BaseModel] = create_model(
        name, __base__=with_limits(_ALL[name]), **{each: _NEEDED[each] for each in needs}
    )
    return found


def with_limits(model: type[Reached]) -> type[Reached]:
    """``model``, whose ``limits`` are those of a ``limit:``."""
    limits: Any = (limit_settings() | None, None)
    found: type[Reached] = create_model(model.__name__, __base__=model, limits=limits)
    return found
