"""Which answer a request gets: the first rule that fits, else the next of the script, else one that is made up."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, fields
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, NamedTuple

from hush.testing._scripted._errors import ScriptError
from hush.testing._scripted._faults import Fault, as_fault, model_fits
from hush.testing._scripted._named import check_keys, whole_of
from hush.testing._scripted._reply import Reply, ToolCall, as_reply
from hush.testing._scripted._request import ScriptedRequest
from hush.testing._scripted._schema import value_for

THEN = ("error", "default", "repeat", "last")
_ECHOED = 400  # characters
_MOST_CALLS_OF_FUNCTIONS = 8  # one that gives a function that gives a function ...


@dataclass(frozen=True, slots=True)
class Rule:
    """Which requests get which answer. All that is given must hold; a rule without conditions fits every request.

    Attributes:
        contains: Text that stands in the last message of a user.
        answer: What is answered: text, a `Reply` or a mapping with its fields, a `Fault`, a function of the
            `ScriptedRequest` that gives one of these (``None``: go on with the next rule), or a list of them, of which
            each is given once, in order, and the last from then on.
        matches: A regular expression that is found in the last message of a user.
        system: Text that stands in the messages of the system, or of the developer.
        model: The model's name; ``*`` stands for anything.
        when: A function of the `ScriptedRequest`.
        times: The rule is used at most so many times.
    """

    contains: str | None = None
    answer: Any = None
    _: KW_ONLY
    matches: str | re.Pattern[str] | None = None
    system: str | None = None
    model: str | None = None
    when: Callable[[ScriptedRequest], object] | None = None
    times: int | None = None

    def __post_init__(self) -> None:
        for name in ("contains", "system", "model"):
            if not isinstance(getattr(self, name), str | None):
                raise ScriptError(f"{name} is text, not {getattr(self, name)!r}", (name,))
        if self.times is not None:
            whole_of("times", self.times)
        if self.when is not None and not callable(self.when):
            raise ScriptError("when is a function of the request", ("when",))
        if isinstance(self.matches, str):
            try:
                object.__setattr__(self, "matches", re.compile(self.matches))
            except re.error as error:
                raise ScriptError(f"matches is no regular expression: {error}", ("matches",)) from None
        elif not isinstance(self.matches, re.Pattern | None):
            raise ScriptError(f"matches is a regular expression, not {self.matches!r}", ("matches",))
        if self.answer is None:
            raise ScriptError("a rule has an answer")
        object.__setattr__(self, "answer", _prepared_list(self.answer, ("answer",)))

    def fits(self, request: ScriptedRequest) -> bool:
        """Whether its conditions hold."""
        return (
            (self.contains is None or self.contains in request.text)
            and (self.system is None or self.system in request.system)
            and model_fits(self.model, request.model)
            and (self.matches is None or re.search(self.matches, request.text) is not None)
            and (self.when is None or bool(self.when(request)))
        )


Prepared = Reply | Fault | Callable[[ScriptedRequest], Any]


def as_rule(given: Any) -> Rule:
    """A rule from a `Rule`, or a mapping with its fields."""
    if isinstance(given, Rule):
        return given
    if not isinstance(given, Mapping):
        raise ScriptError(f"a rule is a mapping such as {{'contains': ..., 'answer': ...}}, not {given!r}")
    check_keys(given, [each.name for each in fields(Rule)], "a rule")
    return Rule(**given)


def prepared(given: Any) -> Prepared:
    """An answer, checked: a reply, a fault or a function."""
    if isinstance(given, Fault) or (isinstance(given, Mapping) and "fault" in given):
        return as_fault(given, here=True)
    if callable(given) and not isinstance(given, Mapping):
        function: Callable[[ScriptedRequest], Any] = given
        if iscoroutinefunction(function):
            raise ScriptError("an answer is no async function: nothing is awaited here; give latency_s instead")
        return function
    return as_reply(given)


def _prepared_list(given: Any, at: tuple[str | int, ...] = ()) -> tuple[Prepared, ...]:
    several = given if isinstance(given, list | tuple) else [given]
    if not several:
        raise ScriptError("there is no answer in the list", at)
    made: list[Prepared] = []
    for place, each in enumerate(several):
        try:
            made.append(prepared(each))
        except ScriptError as error:
            raise error.within(*at, *([place] if isinstance(given, list | tuple) else [])) from None
    return tuple(made)


class Choice(NamedTuple):
    """What was chosen.

    Attributes:
        answer: ``None``: the script is at its end.
        use: To be called if it is given, so that it counts as used: a call that fails on order does not use it up.
    """

    answer: Reply | Fault | None
    use: Callable[[], None]


class Choices:
    """The rules and the script of one model, with the count of what was used."""

    def __init__(self, rules: Sequence[Any], script: Sequence[Any] | None, then: str) -> None:
        self.rules = tuple(_each(as_rule, each, "rules", place) for place, each in enumerate(rules))
        self.script = None if script is None else tuple(
            _each(prepared, each, "script", place) for place, each in enumerate(script)
        )  # fmt: skip
        if then not in THEN:
            raise ScriptError(f"then is one of {', '.join(THEN)}, not {then!r}", ("then",))
        self.then = then
        self._used = [0] * len(self.rules)
        self._told = 0

    def reset(self) -> None:
        """Nothing has been used."""
        self._used = [0] * len(self.rules)
        self._told = 0

    def choose(self, request: ScriptedRequest) -> Choice:
        """The answer that this request gets."""
        for place, rule in enumerate(self.rules):
            used = self._used[place]
            if (rule.times is not None and used >= rule.times) or not rule.fits(request):
                continue
            found = _called(rule.answer[min(used, len(rule.answer) - 1)], request)
            if found is not None:
                return Choice(found, partial(self._use, place))
        script = self.script
        if script:
            told = self._told
            if told >= len(script):
                if self.then == "error":
                    return Choice(None, _nothing)
                if self.then == "default":
                    return Choice(made_up(request), _nothing)
                told = told % len(script) if self.then == "repeat" else len(script) - 1
            return Choice(_called(script[told], request) or made_up(request), self._tell)
        return Choice(made_up(request), _nothing)

    def _use(self, place: int) -> None:
        self._used[place] += 1

    def _tell(self) -> None:
        self._told += 1


def _each(made: Callable[[Any], Any], given: Any, name: str, place: int) -> Any:
    try:
        return made(given)
    except ScriptError as error:
        raise error.within(name, place) from None


def _nothing() -> None:
    pass


def _called(answer: Prepared, request: ScriptedRequest) -> Reply | Fault | None:
    """The answer itself, if it is a function what it gives."""
    for _ in range(_MOST_CALLS_OF_FUNCTIONS):
        if isinstance(answer, Reply | Fault):
            return answer
        given = answer(request)
        if given is None:
            return None
        answer = prepared(given)
    raise ScriptError("a function of a rule gave a function, again and again")


def made_up(request: ScriptedRequest) -> Reply:
    """The answer where nothing is scripted: what was asked for, filled from the request's own text.

    A tool that must be called is called, with arguments that fit; a JSON schema gets a value that fits; everything
    else is an echo of the last user message.
    """
    chat = request.chat
    call = _call_of(request)
    if call is not None:
        return Reply(tool_calls=(call,))
    wanted = chat.get("response_format")
    if isinstance(wanted, Mapping):
        if wanted.get("type") == "json_schema" and isinstance(named := wanted.get("json_schema"), Mapping):
            return Reply(_json(value_for(named.get("schema") or {}, request.text)))
        if wanted.get("type") == "json_object":
            return Reply(_json({"echo": request.text[:_ECHOED]}))
    return Reply(f"echo: {request.text[:_ECHOED]}")


def _call_of(request: ScriptedRequest) -> ToolCall | None:
    choice = request.chat.get("tool_choice")
    functions = [each.get("function") for each in request.tools if isinstance(each, Mapping)]
    named = [each for each in functions if isinstance(each, Mapping) and isinstance(each.get("name"), str)]
    if isinstance(choice, Mapping) and isinstance(function := choice.get("function"), Mapping):
        named = [each for each in named if each["name"] == function.get("name")]
    elif choice != "required":
        return None
    if not named:
        return None
    arguments = value_for(named[0].get("parameters") or {"type": "object"}, request.text)
    return ToolCall(named[0]["name"], arguments)


def _json(value: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)
