"""The core of a scripted model: given a request and the time it says what happens. No HTTP, no asyncio, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from hush.testing._scripted._choices import Choices, Rule, prepared
from hush.testing._scripted._errors import ScriptError
from hush.testing._scripted._exchange import Exchange, Refusal, refusal_of
from hush.testing._scripted._faults import BENDS, BREAKS, REFUSALS, Armed, Fault, as_fault
from hush.testing._scripted._limits import Excess, Limiter, ServerLimits, Standing, as_limits
from hush.testing._scripted._named import number_of
from hush.testing._scripted._reply import Reply, Usage
from hush.testing._scripted._request import CHAT, EMBEDDINGS, ScriptedRequest, wrong_with
from hush.testing._scripted._stats import Stats
from hush.testing._scripted._vectors import EmbeddingLimits, as_embedding_limits, embedded, ranked, too_much

Latency = float | tuple[float, float] | Callable[[ScriptedRequest], float]
_PIECE = 14  # the most characters of a chunk


class ScriptedCore:
    """All of `hush.testing.ScriptedLLM` but its ways to be called. Not thread-safe: call it from one loop."""

    def __init__(
        self,
        answers: Any = None,
        *,
        faults: Iterable[Fault | str | int | Mapping[str, Any]] = (),
        limits: ServerLimits | Mapping[str, Any] | None = None,
        model_limits: Mapping[str, ServerLimits | Mapping[str, Any]] | None = None,
        seed: int = 0,
        latency_s: Latency = 0.0,
        per_token_s: float = 0.0,
        then: str = "error",
        models: Iterable[str] | None = None,
        embeddings: EmbeddingLimits | Mapping[str, Any] | None = None,
        api_key: str | None = None,
    ) -> None:
        self._choices = _choices_of(answers, then)
        if isinstance(faults, str | Mapping) or not isinstance(faults, Iterable):
            raise ScriptError(f"faults is a list of faults, not {faults!r}", ("faults",))
        self._armed = tuple(Armed(as_fault(each, ("faults", place))) for place, each in enumerate(faults))
        self._limiter = Limiter(_within(("limits",), as_limits, limits))
        per_model = _within(("model_limits",), dict[str, Any], model_limits or {})
        self._limiters = {
            name: Limiter(_within(("model_limits", name), as_limits, each)) for name, each in per_model.items()
        }
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise ScriptError(f"seed is a whole number, not {seed!r}", ("seed",))
        self.seed = seed
        self._latency_s = _latency(latency_s)
        self._per_token_s = number_of("per_token_s", per_token_s)
        if isinstance(models, str):
            raise ScriptError(f"models is a list of names, not {models!r}", ("models",))
        self.models = None if models is None else tuple(models)
        self.embeddings = _within(("embeddings",), as_embedding_limits, embeddings)
        if not isinstance(api_key, str | None) or api_key == "":
            raise ScriptError("api_key is text", ("api_key",))  # it is not shown, whatever it is
        self._api_key = api_key
        self.stats = Stats()
        self._draw = Random(seed)
        self._number = 0
        self._began_s: float | None = None
        self._now_s = 0.0

    # --- from the outside ---------------------------------------------------------------------------------
    def reset(self) -> None:
        """Begin anew: counts, the script, faults, limits and the seed. Calls that are under way are not ended."""
        inside = self.stats.at_once
        self.stats = Stats()
        self.stats.at_once = inside
        self._choices.reset()
        for armed in self._armed:
            armed.reset()
        self._draw = Random(self.seed)
        self._number = 0
        self._new_clock()

    def allows(self, *given: str | None) -> bool:
        """Whether one of these is the API key, or none is asked for."""
        if self._api_key is None:
            return True
        from hmac import compare_digest

        return any(each is not None and compare_digest(each.encode(), self._api_key.encode()) for each in given)

    def begin(self, request: ScriptedRequest, now_s: float, source: object = None, *, known: bool = True) -> Exchange:
        """A call comes: say what becomes of it. `end` must be called with what this gives, once.

        Args:
            request: The call. It gets its number and its time.
            now_s: The time, in seconds of any clock that goes forward; if it goes back, a new clock is taken to begin.
            source: Which connection it came by, if that is known.
            known: Whether it came with the right API key.
        """
        self._tick(now_s)
        self._number += 1
        request.number = self._number
        request.at_s = now_s - (self._began_s or 0.0)
        exchange = Exchange(request, now_s, source)
        self.stats.arrived(exchange)
        exchange.refusal = self._turned_away(request, known=known) or self._over_a_limit(exchange)
        if exchange.refusal is None:
            try:
                self._answer(exchange)
            except BaseException:  # of a function of the user's
                self.end(exchange, now_s, abandoned=True)
                raise
            if exchange.usage is not None:
                self.stats.charged(exchange)
                for limiter in exchange.limiters:
                    limiter.charge(exchange.usage.prompt_tokens + exchange.usage.completion_tokens, now_s)
        exchange.standing = self._standing(request, now_s)
        return exchange

    def end(self, exchange: Exchange, now_s: float, *, abandoned: bool = False) -> None:
        """A call has got what it gets: to be called when the last of it is sent, or its client has gone before."""
        if exchange.ended:
            return
        exchange.ended = True
        for limiter in exchange.limiters:
            limiter.leave()
        self.stats.ended(exchange, abandoned=abandoned)
        if exchange.told_s is not None:
            self.stats.told(exchange, now_s, exchange.told_s)

    # --- one call -----------------------------------------------------------------------------------------
    def _tick(self, now_s: float) -> None:
        if self._began_s is None or now_s < self._now_s:
            self._new_clock()
            self._began_s = now_s
        self._now_s = now_s

    def _new_clock(self) -> None:
        self._began_s = None
        self.stats.forget_told()
        for limiter in (self._limiter, *self._limiters.values()):
            limiter.reset()

    def _turned_away(self, request: ScriptedRequest, *, known: bool) -> Refusal | None:
        if not known:
            return _refusal("unauthorized", "wrong", "The API key is not the one that the script names.")
        wrong = wrong_with(request)
        if wrong is None and request.endpoint == EMBEDDINGS:
            wrong = too_much(request, self.embeddings)
        if wrong is not None:
            return _refusal("bad_request", "wrong", wrong)
        if self.models is not None and request.model not in self.models:
            return _refusal("not_found", "wrong", f"The model {request.model!r} does not exist.")
        return None

    def _over_a_limit(self, exchange: Exchange) -> Refusal | None:
        now_s, model = exchange.at_s, exchange.request.model
        mine = self._limiters.get(model)
        limiters = (self._limiter,) if mine is None else (self._limiter, mine)
        for limiter in limiters:
            excess = limiter.excess(exchange.request.prompt_tokens, now_s)
            if excess is not None:
                self.stats.violations += 1
                limiter.refuse(now_s)
                return _over(excess, limiter.limits, model)
        for limiter in limiters:
            limiter.admit(now_s)
        exchange.limiters = limiters
        return None

    def _answer(self, exchange: Exchange) -> None:
        request = exchange.request
        at_s = request.at_s
        fired = [
            each.fault
            for each in self._armed
            if each.fires(request.endpoint, request.model, request.text, at_s, self._draw)
        ]
        if self._fail(exchange, fired):
            return
        if request.endpoint != CHAT:
            empty = "empty_content" in exchange.bends
            if request.endpoint == EMBEDDINGS:
                exchange.payload = embedded(request, self.embeddings, empty=empty)
            else:
                exchange.payload = ranked(request, empty=empty)
            exchange.usage = Usage(request.prompt_tokens, 0)
            exchange.wait_s = self._latency_of(request) + exchange.slow_s("slow_first_token")
            return
        choice = self._choices.choose(request)
        if exchange.fault is None:
            choice.use()
        if choice.answer is None:
            exchange.refusal = _refusal("bad_request", "script_ended", "The script has no more answers.")
            exchange.fault = None
            return
        if isinstance(choice.answer, Fault):
            if self._fail(exchange, [choice.answer]):
                return
            reply = Reply("This answer is broken on order.")
        else:
            reply = choice.answer
            if self._fail(exchange, list(reply.faults)):
                return
        self._reply(exchange, reply)

    def _fail(self, exchange: Exchange, faults: Sequence[Fault]) -> bool:
        """Take what is ordered; whether it is a refusal, so that there is no answer."""
        for fault in faults:
            kind = str(fault.kind)
            if kind in BENDS:
                exchange.bends.setdefault(kind, fault)
            elif kind in REFUSALS and exchange.fault is None and exchange.refusal is None:
                exchange.refusal = refusal_of(fault)
                exchange.wait_s = fault.delay_s or 0.0
            elif kind in BREAKS and exchange.fault is None and exchange.refusal is None:
                exchange.fault = fault
        if exchange.refusal is not None:
            exchange.bends.clear()
        return exchange.refusal is not None

    def _reply(self, exchange: Exchange, reply: Reply) -> None:
        request, bends = exchange.request, exchange.bends
        draw = Random((self.seed << 32) ^ request.number)
        if "empty_content" in bends:
            reason = reply.finish_reason or "stop"
            reply = replace(reply, content="", tool_calls=(), images=(), audio=None, chunks=None, finish_reason=reason)
        exchange.finish_reason = reply.reason()
        for kind in ("length", "content_filter"):
            if kind in bends:
                text = reply.text() or ""
                reply = replace(reply, content=text[: len(text) // 2], chunks=None)
                exchange.finish_reason = kind
        if "finish_reason_null" in bends:
            exchange.finish_reason = None
        exchange.reply = reply
        exchange.usage = reply.counted(request.prompt_tokens)
        took_s = self._latency_of(request) if reply.latency_s is None else reply.latency_s
        exchange.per_token_s = self._per_token_s
        if not request.stream:
            took_s += self._per_token_s * exchange.usage.completion_tokens
        else:
            exchange.pieces = list(reply.chunks) if reply.chunks is not None else pieces_of(reply.text() or "", draw)
        exchange.wait_s = took_s + exchange.slow_s("slow_first_token")

    def _latency_of(self, request: ScriptedRequest) -> float:
        given = self._latency_s
        if isinstance(given, tuple):
            return self._draw.uniform(*given)
        return given if isinstance(given, int | float) else number_of("latency_s", given(request))

    def _standing(self, request: ScriptedRequest, now_s: float) -> Standing:
        """What is left of the limits that are nearest: the model's own, else those of all."""
        own, all_ = self._limiters.get(request.model), self._limiter.standing(now_s)
        if own is None:
            return all_
        mine = own.standing(now_s)
        return Standing(mine.requests or all_.requests, mine.tokens or all_.tokens)


def pieces_of(text: str, draw: Random) -> list[str]:
    """The text cut at places that are drawn."""
    pieces: list[str] = []
    at = 0
    while at < len(text):
        size = 1 + int(draw.random() * _PIECE)
        pieces.append(text[at : at + size])
        at += size
    return pieces


def _refusal(like: str, kind: str, message: str) -> Refusal:
    status, type_, code, _ = REFUSALS[like]
    return Refusal(kind, status, type_, code or (kind if kind == "script_ended" else None), message)


def _over(excess: Excess, limits: ServerLimits, model: str) -> Refusal:
    message = f"Rate limit reached for {model} on {excess.what}: {excess.limit:g}."
    if excess.never:
        message = f"This request is larger than the limit of {model} on {excess.what}: {excess.limit:g}."
    after_s = None if limits.retry_after == "none" else excess.after_s
    type_ = "tokens" if excess.what.startswith("tokens") else "requests"
    return Refusal("limited", 429, type_, "rate_limit_exceeded", message, after_s, limits.retry_after)


def _choices_of(answers: Any, then: str) -> Choices:
    if answers is None:
        return Choices((), None, then)
    if isinstance(answers, Choices):
        return answers
    if isinstance(answers, Mapping):
        return Choices([Rule(text, answer) for text, answer in answers.items()], None, then)
    if isinstance(answers, list | tuple):
        rules = [each for each in answers if isinstance(each, Rule)]
        script = [each for each in answers if not isinstance(each, Rule)]
        return Choices(rules, script or None, then)
    return Choices((), [prepared(answers)], "last")


def _latency(given: Any) -> Any:
    if callable(given):
        return given
    if isinstance(given, list | tuple):
        if len(given) != 2:
            raise ScriptError(f"latency_s is a number, a pair of numbers or a function, not {given!r}", ("latency_s",))
        low, high = (number_of("latency_s", each) for each in given)
        return min(low, high), max(low, high)
    return number_of("latency_s", given)


def _within(at: tuple[str, ...], made: Callable[[Any], Any], given: Any) -> Any:
    try:
        return made(given)
    except ScriptError as error:
        raise error.within(*at) from None
    except (TypeError, ValueError):
        raise ScriptError(f"{at[-1]} is a mapping, not {given!r}", at) from None
