"""``PromptNode``: from a template and values to the messages that a model is asked with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hush.core.errors import UsageError
from hush.core.extend import Handle, Leaf, Parameter, Ref, Signature, Where, caller, nearest
from hush.providers._form import Form
from hush.providers._reading import read_prompt
from hush.providers._template_file import NoTemplate, TemplateFile, read_template
from hush.providers.errors import PromptError

Value = Any

HISTORY, RESULTS = "conversation_history", "tool_results"
KEYS = ("prompt", "template")
_RESERVED = (*KEYS, HISTORY, RESULTS)
_ARGUMENTS = ("name", "inputs", "outputs", "template_file", "timeout_s", "on_error")
_POLICIES = ("retry", "limit", "cache", "version", "priority", "tokens", "executor")


class _Mistake(NamedTuple):
    message: str
    mend: str
    where: Where


class PromptNode(Leaf):
    """A node that makes messages of a template and values: its output ``messages`` is what an ``LLMNode`` takes.

    ::

        PromptNode(
            name="ask",
            inputs={"prompt": {"system": "Answer briefly.", "user": "{question}"}, "question": PARENT["question"]},
        )

    The template stands under the key ``prompt`` (or ``template``):

    - text: one message of the user;
    - a dict of the roles ``system``, ``developer``, ``user``, ``assistant``: in its order, with the first two in front;
    - a list of messages, ``{"role": "user", "content": "..."}``, ``tool`` among the roles too.

    Content is text, a ``File``, or a list of parts: text, a ``File``, or a dict in OpenAI's form, such as
    ``{"type": "image_url", "image_url": {"url": "https://..."}}``.

    **Names.** ``{text}`` is replaced by the input ``text``, once: what is put in is never looked into. ``{{`` and
    ``}}`` are braces; literal JSON stands as it is; ``{x.y}``, ``{x[0]}``, ``{x!r}``, ``{x:>10}``, ``{}`` and ``{0}``
    are refused. Text is put in as it is, numbers as Python writes them, lists and dicts as JSON; ``None`` and bytes are
    refused. The names are parameters of the node: one that nothing feeds, and an input that no template names, are
    found by ``graph.check()``, and ``{"*": PARENT}`` feeds them.

    **References.** A reference *within* a prompt, ``{"system": "...", "user": PARENT["text"]}``, gives a value, which
    is no template. One that is the whole prompt, ``"prompt": PARENT["template"]``, gives a template: then names are
    checked when the node runs, and inputs that it does not name are left out.

    **Never opened.** No path and no URL that comes with data is opened, by Hush or by a provider on its behalf. A value
    in a template is text. In messages and parts that come with a run (the history, results of tools, references, a
    template that is a reference), parts are text, a ``File``, which only code can make, or carry their data with them:
    ``data:`` URLs, base64 audio. Other URLs, ids of uploaded files and other types are refused. A URL that *code*
    writes into the template as it stands is passed on: the provider fetches it.

    **History.** The optional input ``conversation_history`` is a list of messages; they stand before the last message
    of the user in the template, or, if it has none, at the end: so after the system's. The optional ``tool_results``,
    a list of ``{"tool_call_id", "content"}`` (or ``"id"``, ``"result"``) or of messages, stand right after it. ``None``
    counts as none.

    It runs on the event loop, in microseconds; where it may have files to read, as a ``def`` under ``"auto"`` does, in
    a thread. It can be called many times at once, and gives new lists and dicts each time. What fails when it runs is
    a ``PromptError``.

    Args:
        name: Letters, digits, ``_`` and ``-``; ``prompt`` if not given.
        inputs: As on every node: the template, what it names, ``conversation_history``, ``tool_results``.
        outputs: ``PARENT``, ``{"*": PARENT}``, ``{"messages": PARENT}`` or ``{"messages": PARENT["y"]}``.
        template_file: In place of the key ``prompt``: a file, read now. ``.yaml`` and ``.yml`` hold a dict of roles or
            a list of messages, any other is text, one message of the user. A relative path counts from the working
            directory; beside the source file it is ``Path(__file__).parent / "ask.txt"``.
        timeout_s: Seconds after which the node fails with ``NodeTimeout``, for files that may be slow to read: it then
            always runs in a thread.
        on_error: ``"collect"`` goes on when the node fails, as on every node.
    """

    kind = "prompt"

    def __init__(
        self,
        name: str | None = None,
        *,
        inputs: Mapping[str, Value] | None = None,
        outputs: Value = None,
        template_file: str | os.PathLike[str] | None = None,
        timeout_s: float | None = None,
        on_error: str | None = None,
        **unknown: Value,
    ) -> None:
        if unknown:
            raise UsageError(_refusal(next(iter(unknown))))
        prompt = written_prompt(name if isinstance(name, str) else self.kind, inputs, template_file)
        super().__init__(
            name,
            fn=prompt.fill,
            inputs=prompt.inputs,
            outputs=outputs,
            signature=Signature(
                prompt.parameters, known=True, open=not prompt.is_known, awaited=False, generates=False
            ),
            executor="auto" if prompt.reads_files or timeout_s is not None else "inline",
            timeout_s=timeout_s,
            on_error=on_error,
        )
        for mistake in prompt.mistakes:
            self._fault(*mistake)


class WrittenPrompt(NamedTuple):
    """A prompt as it was written into the inputs of a node.

    Attributes:
        inputs: The node's inputs, in which what was read stands for the prompt.
        parameters: What the node takes for it.
        fill: Gives ``{"messages": ...}``, called with those by name.
        is_known: Whether its names are.
        reads_files: Whether it may have to read files when it is filled.
        mistakes: What is wrong with it.
    """

    inputs: Any
    parameters: tuple[Parameter, ...]
    fill: Callable[..., dict[str, Any]]
    is_known: bool
    reads_files: bool
    mistakes: list[_Mistake]


def written_prompt(name: str, inputs: Any, template_file: str | os.PathLike[str] | None) -> WrittenPrompt:
    """The prompt of a node called ``name``, read where it was written."""
    where = caller()
    mistakes: list[_Mistake] = []
    given: Any = dict(inputs) if isinstance(inputs, Mapping) else inputs
    of = given if isinstance(given, dict) else {}
    key, form = _read(of, template_file, where, mistakes)
    names = () if form is None else form.names
    parameters = [Parameter(one, "keyword", False, None) for one in dict.fromkeys((*([key] if key else ()), *names))]
    parameters += [Parameter(one, "keyword", True, None) for one in (HISTORY, RESULTS)]
    files = form is None or form.reads_files() or not of.keys().isdisjoint((HISTORY, RESULTS, "*"))
    fill = _filler(key, form, f"{name} ({where})")
    return WrittenPrompt(given, tuple(parameters), fill, form is not None, files, mistakes)


def _read(
    inputs: dict[str, Value],
    template_file: str | os.PathLike[str] | None,
    where: Where,
    mistakes: list[_Mistake],
) -> tuple[str | None, Form | None]:
    """The key of the template and what it says; ``None`` for a key that has none, and for a template not known yet.

    In ``inputs`` the form takes the place of what was written, with the references in it.
    """
    keys = [key for key in KEYS if key in inputs]
    file: TemplateFile | None = None
    if template_file is not None:
        written: Any = template_file
        if not isinstance(written, str | os.PathLike):
            raise UsageError(f"template_file={written!r} at {where}: it is a path, as text or as a Path.")
        keys = ["template_file", *keys]
        try:
            file = read_template(template_file, where.file)
        except NoTemplate as exc:
            place = where._replace(file=exc.path, line=exc.line) if exc.line else where
            mistakes.append(_Mistake(exc.message, exc.mend, place))
    if len(keys) > 1:
        mistakes.append(_Mistake(f"the template is given twice, as {keys[0]} and {keys[1]}", "Leave one out.", where))
        for key in keys[1:]:
            inputs.pop(key, None)
    key = keys[0] if keys else KEYS[0]
    if template_file is not None:
        form = None if file is None else _form(file.prompt, file, inputs, where, mistakes)[0]
        return None, form
    prompt = inputs.get(key)
    if key not in inputs or isinstance(prompt, Ref | Handle):  # a node by itself is refused as it is in every input
        return key, None
    form, references = _form(prompt, None, inputs, where, mistakes)
    inputs[key] = [form, *references] if references else form
    return key, form


def _form(
    prompt: Value, file: TemplateFile | None, inputs: Mapping[str, Value], where: Where, mistakes: list[_Mistake]
) -> tuple[Form, list[Value]]:
    read = read_prompt(prompt, by_code=True)
    for wrong in read.wrong:
        place = where
        if file is not None:
            place = where._replace(file=file.path, line=file.line_of(wrong.path, wrong.line))
        mistakes.append(_Mistake(wrong.message, wrong.mend, place))
    taken = [name for name in read.form.names if name in _RESERVED]
    for name in taken:
        what = "the template itself" if name in KEYS else "messages, which stand between those of the template"
        mend = (
            f'Give the text another name: {{text}}, with inputs={{"text": ...}}. For the text itself: {{{{{name}}}}}.'
        )
        mistakes.append(_Mistake(f"the template has {{{name}}} in it; the input {name!r} is {what}", mend, where))
    form = read.form
    names = [*form.names, *(name for name in read.meant if name in inputs and name not in form.names)]
    names = [name for name in names if name not in taken]
    return Form(form.messages, tuple(names), form.shown), read.given


def _filler(key: str | None, known: Form | None, label: str) -> Callable[..., dict[str, Any]]:
    """The function of a node. It holds no handle of the graph, so it can go to another process."""

    def fill(**values: Value) -> dict[str, Any]:
        history, results = values.pop(HISTORY, None), values.pop(RESULTS, None)
        try:
            form, given = _found(values.pop(key), values) if key is not None else (known, [])
            if form is None:
                raise PromptError("it has no template")
            messages = form.fill(values, given, history, results)
        except PromptError as exc:
            raise PromptError(f"{label}: {exc}") from exc.__cause__
        return {"messages": messages}

    return fill


def _found(prompt: Value, values: Mapping[str, Value]) -> tuple[Form, list[Value]]:
    """The form of a prompt, and the values of the references in it, when the node runs."""
    if type(prompt) is Form:
        return prompt, []
    if type(prompt) is list and prompt and type(prompt[0]) is Form:
        return prompt[0], prompt[1:]
    read = read_prompt(prompt, by_code=False)
    if read.wrong:
        raise PromptError("; ".join(f"{one.message}. {one.mend}" for one in read.wrong))
    missing = [name for name in read.form.names if name not in values]
    if missing:
        raise PromptError(_missing(missing, list(values)))
    return read.form, read.given


def _missing(names: list[str], given: list[str]) -> str:
    listed = ", ".join(f"{{{name}}}" for name in names)
    near = nearest(names[0], given)
    hint = f" Did you mean {{{near}}}?" if near else ""
    have = ", ".join(given) or "none"
    return f"its template names {listed}, and there is no such input; its inputs: {have}.{hint}"


def _refusal(argument: str) -> str:
    if argument in KEYS:
        return f'PromptNode(...) takes no argument {argument!r}. Write inputs={{"{argument}": ...}}.'
    if argument in _POLICIES:
        return (
            f"PromptNode(...) takes no argument {argument!r}: it only fills in a template. "
            "Give it to the node that asks the model."
        )
    near = nearest(argument, _ARGUMENTS)
    hint = f" Did you mean {near!r}?" if near else ""
    return f"PromptNode(...) takes no argument {argument!r}.{hint}"
