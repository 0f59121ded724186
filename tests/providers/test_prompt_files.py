"""Files in prompts: those that code names are sent, those that data names are never opened; templates in files."""

from __future__ import annotations

import os
import pickle
import sys
import threading
from base64 import b64encode

import pytest

from hush.core import PARENT, Each, GraphNode, Hush, MapNode, NodeTimeout, UsageError
from hush.providers import File, PromptNode
from hush.providers.errors import PromptError
from hush.testing import run_virtual

PNG = b"\x89PNG\r\n\x1a\n" + b"rest of a picture"
JPEG = b"\xff\xd8\xff\xe0" + b"rest"
WEBP = b"RIFF\x00\x00\x00\x00WEBPVP8 "
WAV = b"RIFF\x00\x00\x00\x00WAVEfmt "
PDF = b"%PDF-1.7\n\xff\xfe"

Seen = list[tuple[str, object, threading.Thread]]
_seen: list[Seen] = []


def _watch(event: str, args: tuple[object, ...]) -> None:
    if _seen and event in ("open", "socket.connect", "socket.getaddrinfo"):
        _seen[-1].append((event, args[0], threading.current_thread()))


sys.addaudithook(_watch)  # it stays as long as the process; without a list to write to it does nothing


@pytest.fixture
def seen():
    """All that is opened or connected to while the test runs, by anybody."""
    _seen.append([])
    yield _seen[-1]
    _seen.pop()


def data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{b64encode(data).decode()}"


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    return path


def image(kind: str, data: bytes, **more: str) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": data_url(kind, data), **more}}


def text(words: str) -> dict[str, object]:
    return {"type": "text", "text": words}


async def content(inputs, run=None):
    with GraphNode(name="g") as graph:
        PromptNode(name="ask", inputs=inputs, outputs=PARENT)
    assert graph.check() == []
    return (await Hush(graph).run(run or {}))["messages"][-1]["content"]


# --- what is sent -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "data", "part"),
    [
        ("a.png", PNG, image("image/png", PNG)),
        ("a.jpg", JPEG, image("image/jpeg", JPEG)),
        ("a.gif", b"GIF89a..", image("image/gif", b"GIF89a..")),
        ("a.webp", WEBP, image("image/webp", WEBP)),
        ("a.png", JPEG, image("image/jpeg", JPEG)),  # what it holds goes before how it is called
        ("a", PNG, image("image/png", PNG)),
        ("a.png", b"not known", image("image/png", b"not known")),
        ("a.wav", WAV, {"type": "input_audio", "input_audio": {"data": b64encode(WAV).decode(), "format": "wav"}}),
        (
            "a.mp3",
            b"ID3x",
            {"type": "input_audio", "input_audio": {"data": b64encode(b"ID3x").decode(), "format": "mp3"}},
        ),
        ("a.MP3", b"??", {"type": "input_audio", "input_audio": {"data": b64encode(b"??").decode(), "format": "mp3"}}),
        (
            "a.pdf",
            PDF,
            {"type": "file", "file": {"filename": "a.pdf", "file_data": data_url("application/pdf", PDF)}},
        ),
        (
            "notes",
            "é".encode(),
            {"type": "file", "file": {"filename": "notes", "file_data": data_url("text/plain", "é".encode())}},
        ),
    ],
)
async def test_a_file_is_sent_as_what_it_holds(tmp_path, name, data, part):
    (tmp_path / name).write_bytes(data)
    assert await content({"prompt": {"user": ["What is it?", File(tmp_path / name)]}}) == [text("What is it?"), part]
    assert await content({"prompt": {"user": File(str(tmp_path / name))}}) == [part]


async def test_what_is_said_of_a_file_goes_before_what_it_looks_like(picture):
    file = File(picture, media_type="image/webp", detail="low")
    assert await content({"prompt": {"user": file}}) == [image("image/webp", PNG, detail="low")]


async def test_a_file_that_code_made_may_come_by_a_reference(picture):
    part = image("image/png", PNG)
    file = {"file": File(picture)}
    assert await content({"prompt": {"user": ["{q}", PARENT["file"]]}, "q": "?"}, file) == [text("?"), part]
    assert await content({"prompt": {"user": PARENT["file"]}}, file) == [part]
    assert await content({"prompt": [{"role": "user", "content": [PARENT["file"]]}]}, file) == [part]
    assert await content({"prompt": PARENT["prompt"]}, {"prompt": {"user": [File(picture)]}}) == [part]
    history = [{"role": "user", "content": [text("?"), File(picture)]}]
    assert await content({"prompt": {"system": "s"}, "conversation_history": history}) == [text("?"), part]
    results = [{"id": "1", "result": File(picture)}]
    assert await content({"prompt": {"system": "s"}, "tool_results": results}) == [part]


async def test_a_file_is_read_each_time(picture):
    with GraphNode(name="g") as graph:
        PromptNode(name="ask", inputs={"prompt": {"user": File(picture)}}, outputs=PARENT)
    engine = Hush(graph)
    await engine.run()
    picture.write_bytes(JPEG)
    assert (await engine.run())["messages"][0]["content"] == [image("image/jpeg", JPEG)]


async def test_files_are_read_in_threads_until_that_has_shown_itself_cheap(picture, seen):
    await content({"prompt": {"user": File(picture)}})
    [thread] = [by for _, what, by in seen if what == str(picture)]
    assert thread is not threading.main_thread()


async def test_with_a_timeout_it_runs_in_a_thread_and_says_so_if_it_is_late(picture, seen):
    with GraphNode(name="g") as graph:
        PromptNode(name="ask", inputs={"prompt": {"user": File(picture)}}, outputs=PARENT, timeout_s=30)
        PromptNode(name="slow", inputs={"prompt": "{x}", "x": Waits()}, timeout_s=0.01, on_error="collect")
    engine = Hush(graph)
    result = await engine.run()
    Waits.over.set()
    assert result["messages"][0]["content"] == [image("image/png", PNG)]
    assert isinstance(result.errors[0], NodeTimeout)
    for _ in range(5):
        await engine.run()
    assert threading.main_thread() not in [by for _, what, by in seen if what == str(picture)]


class Waits:
    """Its text is there when somebody says so."""

    over = threading.Event()

    def __str__(self):
        self.over.wait(20)
        return "late"


def test_in_virtual_time_they_are_read_too(picture):
    async def run():
        return await content({"prompt": {"user": File(picture)}})

    assert run_virtual(run) == [image("image/png", PNG)]


async def test_a_map_over_files(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for path in paths:
        path.write_bytes(PNG + path.name.encode())
    with GraphNode(name="g") as graph:
        with MapNode(name="m", inputs={"page": Each(PARENT["pages"])}) as each:
            ask = PromptNode(inputs={"prompt": {"user": ["Read it.", PARENT["page"]]}})
            ask["messages"] >> PARENT["messages"]
        each["messages"] >> PARENT["all"]
    made = (await Hush(graph).run({"pages": [File(path) for path in paths]}))["all"]
    assert [one[0]["content"][1] for one in made] == [image("image/png", PNG + path.name.encode()) for path in paths]


# --- what is never opened -----------------------------------------------------------------------------------------
def ways(path):
    """All ways by which a path can come with data, each with whether the node is to fail."""
    named = {"type": "image_url", "image_url": {"url": path}}
    user = {"role": "user", "content": path}
    yield {"prompt": "{x}"}, path, False
    yield {"prompt": {"user": ["{x}", PARENT["x"]]}}, path, False
    yield {"prompt": {"user": PARENT["x"]}}, path, False
    yield {"prompt": {"user": PARENT["x"]}}, [path], False
    yield {"prompt": {"user": PARENT["x"]}}, [named], True
    yield {"prompt": [PARENT["x"]]}, user, False
    yield {"prompt": [PARENT["x"]]}, user | {"content": [named]}, True
    yield {"prompt": PARENT["x"]}, {"user": path}, False
    yield {"prompt": PARENT["x"]}, {"user": [named]}, True
    yield {"prompt": "q", "conversation_history": PARENT["x"]}, [user], False
    yield {"prompt": "q", "conversation_history": PARENT["x"]}, [user | {"content": [named]}], True
    yield {"prompt": "q", "tool_results": PARENT["x"]}, [{"id": "1", "result": named}], False  # JSON, and text so
    yield {"prompt": "q", "tool_results": PARENT["x"]}, [{"id": "1", "result": path}], False


@pytest.mark.parametrize("spell", ["{}", "file://{}", "http://127.0.0.1:9{}", "https://localhost:9{}", "File({!r})"])
async def test_no_path_and_no_url_in_data_is_ever_opened(picture, seen, spell):
    named = spell.format(picture)
    for inputs, value, fails in ways(named):
        given = inputs | ({"x": PARENT["x"]} if "{x}" in repr(inputs["prompt"]) else {})
        if fails:
            with pytest.raises(PromptError):
                await content(given, {"x": value})
        else:
            await content(given, {"x": value})
    assert [what for event, what, _ in seen if event != "open" or what == str(picture)] == []


def test_the_watch_sees_what_is_opened(picture, seen):
    """Else the test above would hold for ever."""
    File(picture).part()
    assert str(picture) in [what for _, what, _ in seen]


def test_a_path_by_reference_is_refused_where_it_is_written():
    with pytest.raises(UsageError, match="a path that comes with data is never opened"):
        File(PARENT["path"])


@pytest.mark.parametrize("path", ["https://example.org/a.png", "data:,x", "file:///a", "", "a\0b", 3, None, b"a"])
def test_what_is_no_path_is_refused_where_it_is_written(path):
    with pytest.raises(UsageError, match="path"):
        File(path)


@pytest.mark.parametrize(
    "more", [{"media_type": "png"}, {"media_type": 3}, {"detail": 1}, {"max_bytes": 0}, {"max_bytes": "1"}]
)
def test_what_is_said_of_a_file_is_checked_where_it_is_written(more):
    with pytest.raises(UsageError, match=next(iter(more))):
        File("a.png", **more)


# --- what cannot be sent ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "cannot be read: No such file or directory"),
        (lambda path: path.mkdir(), "is no plain file"),
        (lambda path: os.mkfifo(path), "is no plain file"),  # opening it would wait for ever
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"x" * 101), "has 101 bytes, more than the 100 that are sent. Make it smaller"),
        (lambda path: path.write_bytes(b"\xff\xfe\xfd"), "holds is not known: say it, File(..., media_type=...)"),
    ],
)
async def test_a_file_that_cannot_be_sent_fails_the_node_and_is_named(tmp_path, make, message):
    path = tmp_path / "thing"
    make(path)
    with pytest.raises(PromptError) as raised:
        await content({"prompt": {"user": File(path, max_bytes=100)}})
    assert message in str(raised.value)
    assert str(path) in str(raised.value)
    assert str(raised.value).startswith(f"ask ({__file__}:")


def test_a_file_is_a_value_and_counts_from_where_it_was_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = File("a.png", detail="low")
    assert file.path == str(tmp_path / "a.png")
    assert file == File(tmp_path / "a.png", detail="low") == pickle.loads(pickle.dumps(file))
    assert file != File("a.png")
    assert len({file, File("a.png", detail="low")}) == 1


def test_a_file_is_no_prompt():
    with GraphNode(name="g") as graph:
        PromptNode(inputs={"prompt": File("a.txt")}, outputs=PARENT)
    [problem] = graph.check()
    assert 'PromptNode(template_file="a.txt")' in problem.mend


def test_a_file_is_no_url():
    part = {"type": "image_url", "image_url": {"url": File("a.png")}}
    with GraphNode(name="g") as graph:
        PromptNode(inputs={"prompt": {"user": [part]}}, outputs=PARENT)
    [problem] = graph.check()
    assert problem.mend == "A File stands by itself, in place of the whole part."


# --- templates in files -------------------------------------------------------------------------------------------
YAML = """\
system: Answer briefly.
user: |
  Question: {question}

  As JSON: {"a": {"b": 1}}
"""


def write(path, words):
    path.write_text(words, encoding="utf-8")
    return path


def prompt_of(path, **inputs):
    with GraphNode(name="g") as graph:
        node = PromptNode(name="ask", template_file=path, inputs=inputs, outputs=PARENT)
    return graph, node


@pytest.mark.parametrize(
    ("name", "words", "made"),
    [
        ("a.txt", "Say {question}\n", [{"role": "user", "content": "Say why"}]),
        ("a.md", "\ufeff# {question}\n\n{{x}}", [{"role": "user", "content": "# why\n\n{x}"}]),
        ("a.yaml", '"Say {question}"', [{"role": "user", "content": "Say why"}]),
        (
            "a.yml",
            YAML,
            [
                {"role": "system", "content": "Answer briefly."},
                {"role": "user", "content": 'Question: why\n\nAs JSON: {"a": {"b": 1}}'},
            ],
        ),
        (
            "a.yaml",
            (
                "- role: user\n  content: 'a {question}'\n- {role: assistant, content: 42}\n- role: user\n  content:\n"
                "  - b\n  - {type: image_url, image_url: {url: 'https://example.org/a.png'}}\n"
            ),
            [
                {"role": "user", "content": "a why"},
                {"role": "assistant", "content": "42"},
                {
                    "role": "user",
                    "content": [text("b"), {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}],
                },
            ],
        ),
    ],
)
def test_a_template_may_lie_in_a_file(tmp_path, name, words, made):
    graph, node = prompt_of(write(tmp_path / name, words), question=PARENT["question"])
    assert graph.check() == []
    assert node(question="why")["messages"] == made


def test_it_is_read_when_the_graph_is_built(tmp_path):
    path = write(tmp_path / "a.txt", "{question}")
    graph, _ = prompt_of(path, text=1)
    assert [problem.message for problem in graph.check()] == [
        "ask takes no input 'text'",
        "nothing feeds the input 'question' of ask",
    ]
    _, node = prompt_of(path)
    path.unlink()
    assert node(question="why")["messages"] == [{"role": "user", "content": "why"}]


@pytest.mark.parametrize(
    ("name", "words", "line", "message"),
    [
        ("a.txt", "one\ntwo\n{x.y}", 3, "the prompt, line 3 has {x.y} in it"),
        ("a.txt", " \n", 1, "the prompt is empty"),
        ("a.yaml", "system: a\nuser: |\n  one\n  {x.y}\n", 4, "the user message, line 2 has {x.y} in it"),
        ("a.yaml", "system: a\nuser: 'one {x.y}'\n", 2, "the user message has {x.y} in it"),
        ("a.yaml", "system: a\nusr: b\n", 2, "the prompt has the role 'usr'"),
        ("a.yaml", "- role: user\n  content: a\n- role: user\n", 3, "message 2 (user) has no content"),
        ("a.yaml", "system: a\nuser:\n", 2, "the user message has no content"),
        ("a.yaml", "user: a\nuser: b\n", 2, "the key 'user' stands twice"),
        ("a.yaml", "user: {question}: b\n", 1, "it is no YAML"),
        ("a.yaml", "user: [\n", 2, "it is no YAML"),
        ("a.yaml", "{a: b}: c\n", 1, "a key is no text"),
        ("a.yaml", "user: &x [a]\nsystem: *x\n", 1, "the template has an alias"),
        ("a.yaml", "user: !!python/object/apply:os.system ['true']\n", None, ""),
        ("a.yaml", "", None, "the template is empty"),
        ("a.yaml", "user: " + "[" * 30 + "]" * 30, 1, "the template has an alias, or is too deep"),
        ("a.yaml", "user: " + "[" * 500, None, "it is no YAML"),
    ],
)
def test_what_is_wrong_with_it_is_said_with_its_file_and_line(tmp_path, name, words, line, message):
    path = write(tmp_path / name, words)
    graph, _ = prompt_of(path)
    problems = [problem for problem in graph.check() if not problem.message.startswith("nothing feeds")]
    if not message:  # a tag is not obeyed: what it stands at is what it looks like
        assert problems == []
        return
    [problem] = problems
    assert problem.message.startswith(message)
    if line is not None:
        assert (problem.file, problem.line) == (str(path), line)


def test_what_is_no_utf_8_is_refused_with_its_line(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\ntwo \xff")
    [problem] = prompt_of(tmp_path / "a.txt")[0].check()
    assert (problem.line, problem.mend) == (2, "Save it as UTF-8.")


def test_a_relative_path_counts_from_the_working_directory(tmp_path, monkeypatch):
    write(tmp_path / "a.txt", "here")
    monkeypatch.chdir(tmp_path)
    assert prompt_of("a.txt")[1]()["messages"] == [{"role": "user", "content": "here"}]
    [problem] = prompt_of("gone.txt")[0].check()
    assert problem.message == f"the template {tmp_path / 'gone.txt'} cannot be read: No such file or directory"
    assert problem.line > 0
    [problem] = prompt_of(os.path.basename(__file__))[0].check()
    assert f"template_file=Path(__file__).parent / {os.path.basename(__file__)!r}" in problem.mend


def test_a_template_is_given_once(tmp_path):
    graph, _ = prompt_of(write(tmp_path / "a.txt", "a"), prompt="b")
    [problem] = graph.check()
    assert problem.message == "the template is given twice, as template_file and prompt"
