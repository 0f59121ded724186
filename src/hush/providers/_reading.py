"""``read_prompt``: from what was written as a prompt to a ``Form``, with all that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from hush.core.extend import Handle, Ref
from hush.providers._files import File
from hush.providers._form import Content, Form, MessageForm, Part, PlainPart, Slot, TextPart
from hush.providers._given import ROLES, nearest_role
from hush.providers._template import Template, template_of

Path: TypeAlias = "tuple[str | int, ...]"
"""Where in a prompt something stands: the keys and indexes that lead to it."""

SPOKEN_ROLES = ("system", "developer", "user", "assistant")
"""Those of a prompt that is a dict of roles: a tool's answer needs the id of its call besides."""
_FETCHED = re.compile(r"(?:https?|data):")
_MESSAGE = '{"role": "user", "content": "..."}'


class Wrong(NamedTuple):
    """One thing that is wrong with a prompt; ``line`` is that of the text at ``path``, from 1."""

    path: Path
    message: str
    mend: str
    line: int = 1


class Read(NamedTuple):
    """A prompt that was read.

    Attributes:
        given: The references in it, by the numbers of their slots.
        meant: The names that what is refused begins with: that nobody uses such an input is not said besides.
    """

    form: Form
    given: list[Any]
    wrong: list[Wrong]
    meant: set[str]


def read_prompt(prompt: Any, *, by_code: bool) -> Read:
    """Read a prompt: text, a dict of roles, or a list of messages.

    ``by_code`` is false for one that comes with a run: what it says is to be fetched from elsewhere is then refused.
    """
    reader = _Reader(by_code)
    messages = reader.messages(prompt)
    return Read(Form(tuple(messages), tuple(reader.names), _shown(prompt)), reader.given, reader.wrong, reader.meant)


class _Reader:
    def __init__(self, by_code: bool) -> None:
        self.by_code = by_code
        self.names: dict[str, None] = {}
        self.given: list[Any] = []
        self.wrong: list[Wrong] = []
        self.meant: set[str] = set()

    def messages(self, prompt: Any) -> list[MessageForm | Slot]:
        if isinstance(prompt, str):
            return [MessageForm("user", self._template(prompt, (), "the prompt"), {})]
        if isinstance(prompt, Mapping):
            return list(self._roles(prompt))
        if isinstance(prompt, list | tuple):
            if not prompt:
                self._note((), "the prompt has no messages", f"Write [{_MESSAGE}].")
            return [self._message(one, (at,), f"message {at + 1}") for at, one in enumerate(prompt)]
        mend = 'It is text, {"system": "...", "user": "{text}"}, or a list of messages.'
        if isinstance(prompt, File):
            mend = (
                'A file is a part of a message: {"user": ["{question}", File("a.png")]}. For a template that lies in a '
            )
            mend += 'file, PromptNode(template_file="a.txt").'
        self._note((), f"the prompt is of type {type(prompt).__name__}", mend)
        return []

    def _roles(self, prompt: Mapping[Any, Any]) -> list[MessageForm]:
        if not prompt:
            self._note((), "the prompt has no messages", 'Write {"system": "...", "user": "{text}"}.')
        if "role" in prompt and "content" in prompt:
            self._note((), "the prompt is one message, where a dict has roles as its keys", f"Write [{_MESSAGE}].")
            return []
        found: list[MessageForm] = []
        for role, content in prompt.items():
            if role not in SPOKEN_ROLES:
                near = nearest_role(role, SPOKEN_ROLES) if isinstance(role, str) else None
                self._note((role,), f"the prompt has the role {role!r}", _roles_mend(near, SPOKEN_ROLES))
                role = near or "user"  # what was meant is read all the same
            where = f"the {role} message"
            found.append(MessageForm(role, self._content(content, (role,), where), {}))
        # Whoever writes the system's message last means it to stand first.
        return sorted(found, key=lambda one: one.role not in ("system", "developer"))

    def _message(self, message: Any, path: Path, where: str) -> MessageForm | Slot:
        if isinstance(message, Ref | Handle):
            return self._slot(message, where)
        if not isinstance(message, Mapping):
            self._note(path, f"{where} is of type {type(message).__name__}", f"A message is a dict: {_MESSAGE}.")
            return MessageForm("user", None, {})
        role = message.get("role")
        if not isinstance(role, str) or role not in ROLES:
            what = f"has the role {role!r}" if "role" in message else "has no role"
            near = nearest_role(role, ROLES) if isinstance(role, str) else None
            self._note(path, f"{where} {what}", _roles_mend(near, ROLES))
            role = near or "user"
        where = f"{where} ({role})"
        more = {key: value for key, value in message.items() if key not in ("role", "content")}
        self._no_references(more, path, where, "A reference may be the content, a part of it, or a whole message.")
        content = message.get("content")
        if content is None and role == "assistant" and more.get("tool_calls"):
            return MessageForm(role, None, more)
        if "content" not in message:
            self._note(path, f"{where} has no content", 'Write "content": "...".')
            return MessageForm(role, None, more)
        if role == "tool" and "tool_call_id" not in more:
            self._note(path, f"{where} does not say which call it answers", 'Add "tool_call_id": "...".')
        return MessageForm(role, self._content(content, (*path, "content"), where), more)

    def _no_references(self, value: Any, path: Path, where: str, mend: str) -> None:
        if _refs(value):
            self._note(path, f"{where} has a reference where none may be", mend)

    def _content(self, content: Any, path: Path, where: str) -> Content:
        if isinstance(content, Ref | Handle):
            return self._slot(content, f"the content of {where}")
        if isinstance(content, str):
            return self._template(content, path, where)
        if isinstance(content, File):
            return (content,)
        if isinstance(content, list | tuple):
            if not content:
                self._note(path, f"{where} is empty", "Leave it out, or write what it says.")
            return tuple([self._part(one, (*path, at), f"part {at + 1} of {where}") for at, one in enumerate(content)])
        kind = type(content).__name__
        what = "has no content" if content is None else f"has content of type {kind}"
        self._note(path, f"{where} {what}", "Content is text, a File, or a list of them.")
        return None

    def _part(self, part: Any, path: Path, where: str) -> Part:
        if isinstance(part, Ref | Handle):
            return self._slot(part, where)
        if isinstance(part, str):
            return TextPart(self._template(part, path, where), {})
        if isinstance(part, File):
            return part
        if not isinstance(part, Mapping):
            self._note(
                path, f"{where} is of type {type(part).__name__}", 'It is text, a File, or a dict with a "type".'
            )
            return PlainPart({})
        kind, text = part.get("type"), part.get("text")
        besides = {key: value for key, value in part.items() if key != "text"}
        self._no_references(besides, path, where, "A reference may be a part as a whole. No URL is taken from data.")
        if kind == "text" and isinstance(text, Ref | Handle):
            return self._slot(text, where)
        if kind == "text" and isinstance(text, str):
            more = {key: value for key, value in part.items() if key not in ("type", "text")}
            return TextPart(self._template(text, (*path, "text"), where), more)
        if not isinstance(kind, str) or kind == "text":
            what = "has no text" if kind == "text" else 'has no "type"'
            self._note(path, f"{where} {what}", 'Write {"type": "text", "text": "..."}, text, or a File.')
            return PlainPart({})
        if not self.by_code:
            return self._slot(part, where)  # judged as all that comes with a run
        self._check_url(kind, part, path, where)
        return PlainPart(part)

    def _check_url(self, kind: str, part: Mapping[str, Any], path: Path, where: str) -> None:
        inner = part.get(kind)
        url = inner.get("url") if isinstance(inner, Mapping) else inner
        if isinstance(url, File):
            self._note(path, f"{where} has a File as its URL", "A File stands by itself, in place of the whole part.")
        elif kind.endswith("_url") and not isinstance(url, Ref):
            if not isinstance(url, str) or not _FETCHED.match(url):
                mend = "A file is named by File(path); a URL begins with https:, http: or data:."
                self._note(path, f"{where} names {str(url)[:80]!r}, which is no URL", mend)
            elif not url.startswith("data:") and (names := template_of(url).names):
                mend = "A URL is no template: a value in it would name what is fetched. Write it out, or give a File."
                self._note(path, f"{where} has {{{names[0]}}} in its URL", mend)

    def _template(self, text: str, path: Path, where: str) -> Template:
        template = template_of(str(text))
        if not text.strip():
            self._note(path, f"{where} is empty", "Leave it out, or write what it says.")
        lines = "\n" in text.strip()
        for slip in template.slips:
            place = f", line {slip.line}" if lines else ""
            message = f"{where}{place} has {slip.group} in it: a template takes plain names only"
            self.wrong.append(Wrong(path, message, slip.mend, slip.line))
            self.meant.add(slip.meant)
        self.names |= dict.fromkeys(template.names)
        return template

    def _slot(self, value: Any, where: str) -> Slot:
        self.given.append(value)
        return Slot(len(self.given) - 1, where)

    def _note(self, path: Path, message: str, mend: str) -> None:
        self.wrong.append(Wrong(path, message, mend))


def _roles_mend(near: str | None, roles: tuple[str, ...]) -> str:
    hint = f"Did you mean {near!r}? " if near else ""
    return f"{hint}There are: {', '.join(roles)}."


def _refs(value: Any) -> bool:
    """Whether there are references in ``value``, however deep."""
    todo = [value]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if isinstance(one, Ref | Handle):
            return True
        if isinstance(one, Mapping | list | tuple) and id(one) not in seen:
            seen.add(id(one))
            todo.extend(one.values() if isinstance(one, Mapping) else one)
    return False


def _shown(prompt: Any) -> str:
    text = repr(prompt)
    return text if len(text) <= 200 else text[:199] + "…"
