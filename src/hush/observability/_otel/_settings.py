"""The settings of ``otel:name`` and ``langfuse:name``, as pydantic checks them. Imported when the first is read."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from pydantic_core import PydanticCustomError


class Address(SecretStr):
    """The address of a server. It is shown without a user, a password and what follows ``?``."""

    shows_most = True

    def _display(self) -> str:
        parts = urlsplit(self.get_secret_value())
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _address(given: Address) -> Address:
    try:
        parts = urlsplit(given.get_secret_value().strip())
        fine = parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise PydanticCustomError("no_address", "should be an address with https:// or http:// at its beginning")
    return Address(given.get_secret_value().strip())


def _credential(given: SecretStr) -> SecretStr:
    text = given.get_secret_value().strip()  # a key that is read from a file ends with a line end
    if not text:
        raise PydanticCustomError("empty", "should not be empty")
    if not (text.isascii() and text.isprintable()):
        raise PydanticCustomError("no_header", "has characters that no header can carry")
    return SecretStr(text)


_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Url = Annotated[Address, AfterValidator(_address)]
_Secret = Annotated[SecretStr, AfterValidator(_credential)]
_Text = Annotated[str, Field(min_length=1, max_length=200)]


class _Settings(BaseModel):
    """What both have in common. No value is in an error, since it may be a secret."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    timeout_s: _Seconds | None = None


class Collector(_Settings):
    """A collector of OpenTelemetry's."""

    endpoint: _Url | None = None
    headers: dict[_Text, _Secret] = {}
    service_name: _Text | None = None


class Project(_Settings):
    """A project of Langfuse's, which its keys name."""

    public_key: _Text
    secret_key: _Secret
    host: _Url | None = None
    environment: _Text | None = None
    release: _Text | None = None
