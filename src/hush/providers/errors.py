"""What cannot be asked of a provider, and what it answered with that is no answer.

    PromptError (HushError, ValueError)  a prompt that cannot be made
    RequestError (HushError, ValueError)  a node was given what nobody could be asked
    AnswerMismatch (HushError, ValueError)  the answer does not fit what was asked for, also after it was corrected
    ProviderError (HushError)         anything that went wrong between asking and a whole answer
    ├── RefusedByProvider             it was answered with an error: ``status_code`` and ``code`` say which
    ├── Unreachable (ConnectionError) no connection, or one that was lost
    ├── ProviderTimeout (TimeoutError) no answer in time
    └── BadReply (ValueError)         an answer that is none: no JSON, no choices, an error in its middle
        └── UnfinishedReply           a stream that ended without a finish reason

The clients of the vendors raise errors that hold the request with its key; none of them leaves Hush.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hush.core.errors import HushError

__all__ = (
    "AnswerMismatch",
    "BadReply",
    "PromptError",
    "ProviderError",
    "ProviderTimeout",
    "RefusedByProvider",
    "RequestError",
    "UnfinishedReply",
    "Unreachable",
)


class PromptError(HushError, ValueError):
    """Raised when a prompt cannot be made, by the node that makes it.

    A value is no text, a message is none, a file cannot be read; or a template that came with the run is wrong, or
    names what the node is not given.
    """


class RequestError(HushError, ValueError):
    """Raised when a node is given what nobody could be asked: no messages, a tool without a name. Nothing was sent."""


class AnswerMismatch(HushError, ValueError):
    """Raised when an answer is not the data, or not the calls, that were asked for, and was not after a correction.

    Attributes:
        content: The answer as it came last.
        finish_reason: Why it ended.
    """

    def __init__(self, message: str, content: str = "", finish_reason: str | None = None) -> None:
        super().__init__(message)
        self.content = content
        self.finish_reason = finish_reason

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.args[0], self.content, self.finish_reason), self.__dict__


class ProviderError(HushError):
    """Raised when a provider gave no whole answer.

    It says whether trying again may help in the way that ``Retry()`` understands: by its kind, its ``status_code``, and
    the ``headers`` ``retry-after``, ``retry-after-ms`` and ``x-should-retry``.

    Attributes:
        resource: The key of the resource that was asked, such as ``"llm:gpt-4"``.
        status_code: The status of HTTP, or what an error in the body stands for; ``None`` if there was none.
        code: The provider's own word for it, such as ``"context_length_exceeded"``.
        headers: Those of the answer that speak of limits, in lower case.
        request_id: What the provider calls the request, to be quoted to its support.
    """

    def __init__(
        self,
        message: str,
        *,
        resource: str = "",
        status_code: int | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.resource = resource
        self.status_code = status_code
        self.code = code
        self.headers = dict(headers or {})
        self.request_id = request_id

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.args[0],), self.__dict__


class RefusedByProvider(ProviderError):
    """Raised when a provider answers with an error: a status from 300 on, or an error in the body.

    So are requests that cannot be put into the provider's words: their status is 400, as the provider's would be.
    """


class Unreachable(ProviderError, ConnectionError):
    """Raised when there is no connection to a provider, or it was lost before the answer was whole."""


class ProviderTimeout(ProviderError, TimeoutError):
    """Raised when a provider did not answer within the resource's ``timeout_s``."""


class BadReply(ProviderError, ValueError):
    """Raised when what came is no answer: no JSON, no choices, an error in the middle of a stream.

    Its status is 502 if no other was told, which is what a gateway says of such an answer: it is tried again.
    """

    def __init__(self, message: str, *, status_code: int | None = 502, **told: Any) -> None:
        super().__init__(message, status_code=status_code, **told)


class UnfinishedReply(BadReply):
    """Raised when a stream ended without a finish reason: what came of it may be half of the answer."""
