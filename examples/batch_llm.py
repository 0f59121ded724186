"""One prompt over thousands of questions, from a file into a file, as fast as the provider allows and not faster.

python examples/batch_llm.py                          a rehearsal: 2,000 questions to a scripted model, half a minute
python examples/batch_llm.py --questions 300          a shorter one
python examples/batch_llm.py --real --questions 100   your own model, llm:batch in resources.yaml or by OPENAI_API_KEY

The rehearsal is in earnest but for the model: a real HTTP server on this machine keeps a limit, counts who breaks it,
and fails now and then as providers do. What lies in the folder of the results: questions.jsonl, answers.jsonl,
failures.jsonl with the reasons, and answers.db, the cache: stopped with Ctrl-C and started again, the batch goes on
where it was, and what failed is asked again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TextIO

from _llm_parts import server
from _llm_parts.models import real_models

from hush.core import (
    END,
    PARENT,
    START,
    CodeNode,
    Each,
    GraphNode,
    Hush,
    MapNode,
    NodeCached,
    NodeRetrying,
    ResourceHub,
)
from hush.providers import LLMNode, PromptNode

MODELS = {"batch": "gpt-4o-mini"}
PER_SECOND = 80
AT_ONCE = 32
FOLDER = Path(".hush-demo", "batch")
PORT = 18_234  # the same each time: an address is a part of who was asked, and so of what the cache knows


# --- what is written --------------------------------------------------------------------------------------------------
class Sink:
    """Two files of JSON lines, and the sums of what was written to them."""

    def __init__(self, folder: Path) -> None:
        self._answers = (folder / "answers.jsonl").open("w", encoding="utf-8", buffering=1)
        self._failures = (folder / "failures.jsonl").open("w", encoding="utf-8", buffering=1)
        self.answered = self.failed = self.line = self.tokens = 0
        self.settled_mb = 0.0
        self.cost = 0.0
        self.reasons: Counter[str] = Counter()

    def write(
        self,
        id: str | None,  # noqa: A002  # the name of the column
        content: str | None,
        usage: Mapping[str, int | None] | None,
        cost: float | None,
        error: BaseException | None,
    ) -> None:
        """Take one line of the questions, in their order."""
        self.line += 1
        if self.line == 200:
            self.settled_mb = peak_mb()  # by now all is imported, and all connections are open
        if error is not None:
            self.failed += 1
            self.reasons[f"{type(error).__name__} {getattr(error, 'code', None) or ''}".strip()] += 1
            # The line finds it again: of an item that failed, the columns are empty.
            self._put(self._failures, {"line": self.line, "kind": type(error).__name__, "reason": str(error)})
            return
        self.answered += 1
        self.tokens += (usage or {}).get("total_tokens") or 0
        self.cost += cost or 0.0
        self._put(self._answers, {"id": id, "answer": content})

    @staticmethod
    def _put(file: TextIO, record: Mapping[str, Any]) -> None:
        file.write(json.dumps(record, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Close the files."""
        self._answers.close()
        self._failures.close()


# --- the workflow -----------------------------------------------------------------------------------------------------
def read_row(line: str) -> dict[str, Any]:
    """One line of the questions; one that is no JSON fails alone."""
    row = json.loads(line)
    return {"id": row["id"], "question": row["question"]}


def build(sink: Sink, cache: Path, hub: ResourceHub) -> Hush:
    with GraphNode(name="batch") as graph:
        # The map takes lines as it has room for them; how many calls there are is up to the limits of the resource.
        with MapNode(name="ask", inputs={"line": Each(PARENT["lines"])}, max_concurrency=2 * AT_ONCE) as asked:
            row = CodeNode(name="row", code_fn=read_row, inputs={"line": PARENT["line"]}, outputs={"id": PARENT})
            prompt = PromptNode(
                name="prompt",
                inputs={
                    "prompt": {"system": "Answer with a number.", "user": "{question}"},
                    "question": row["question"],
                },
            )
            llm = LLMNode(
                name="llm",
                resource_key="batch",
                inputs={"messages": prompt["messages"], "max_tokens": 20},
                outputs=dict.fromkeys(("content", "usage", "cost"), PARENT),
                cache=cache,
            )
            START >> row >> prompt >> llm >> END

        # This one streams: a line is written as soon as it is there, in the order of the questions, and none is kept.
        columns = ("id", "content", "usage", "cost", "error")
        with MapNode(name="write", inputs={key: Each(asked[key]) for key in columns}, max_concurrency=1):
            CodeNode(name="line", code_fn=sink.write, inputs={key: PARENT[key] for key in columns})
        START >> asked
    return Hush(graph, resources=hub)


def generate(path: Path, count: int) -> None:
    """Write questions: the same ones each time."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(1, count + 1):
            question = f"What is {number} times {number % 89 + 2}?"
            if number % 400 == 7:
                question += " Explain, at any length." + " And why?" * 40
            file.write(json.dumps({"id": f"q{number:05}", "question": question}) + "\n")


# --- the rehearsal ----------------------------------------------------------------------------------------------------
@contextmanager
def rehearsal(port: int) -> Iterator[str]:
    """A scripted model behind a real server, in a process of its own that ends with this one. Gives its address."""
    program = [sys.executable, server.__file__, *map(str, (port, PER_SECOND, AT_ONCE))]
    pipe = subprocess.PIPE
    # In a session of its own, so that Ctrl-C is for us: it ends when we close its input, or are gone.
    with subprocess.Popen(program, stdin=pipe, stdout=pipe, text=True, start_new_session=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            sys.exit(f"The server of the rehearsal has not started: is port {port} free? --port=N takes another one.")
        try:
            yield url
        finally:
            process.stdin.close()


def rehearsed(url: str) -> ResourceHub:
    """The resource that reaches it, with the limits that its provider would tell you."""
    settings = {
        "type": "openai",
        "base_url": f"{url}/v1",
        "model": MODELS["batch"],
        "limits": {"per_second": PER_SECOND, "concurrency": AT_ONCE - 2},
        "price": {"input": 0.15, "output": 0.60},  # dollars for a million tokens
    }
    return ResourceHub({"llm:batch": settings})


def seen_by(url: str) -> dict[str, Any]:
    """What the server has counted."""
    with urllib.request.urlopen(f"{url}/stats", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


@contextmanager
def asking(args: argparse.Namespace) -> Iterator[tuple[ResourceHub, str | None]]:
    """Who is asked, and the address of the rehearsal. A real model only if that was said: thousands of calls cost."""
    if args.real:
        hub = real_models(MODELS)
        if hub is None:
            sys.exit("There is no key: set OPENAI_API_KEY, or name llm:batch in resources.yaml.")
        yield hub, None
        return
    say_rehearsal()
    with rehearsal(args.port) as url:
        yield rehearsed(url), url


def say_rehearsal() -> None:
    """Say that nobody real is asked."""
    print("A rehearsal: a scripted model answers, which costs nothing. What it would have cost is told in the end.")
    print("To ask a real one, give --real, with OPENAI_API_KEY set or llm:batch named in resources.yaml.\n")


# --- the program ------------------------------------------------------------------------------------------------------
class Counted:
    """A tracer that counts what came from the cache, and what was tried again."""

    def __init__(self) -> None:
        self.cached = self.again = 0

    def emit(self, event: object) -> None:
        self.cached += isinstance(event, NodeCached)
        self.again += isinstance(event, NodeRetrying)


def tracers(counted: Counted) -> list[Any]:
    """With a bar, where rich is installed; it shows nothing on a pipe."""
    try:
        from hush.observability import ConsoleProgress
    except ImportError:
        return [counted]
    return [counted, ConsoleProgress()]


def peak_mb() -> float:
    """The most memory that this process has had, where the system tells."""
    try:
        import resource
    except ImportError:
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--questions", type=int, default=2000, help="how many are made (default: 2000)")
    parser.add_argument("--file", type=Path, help='questions of your own: lines of {"id": ..., "question": ...}')
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"where the results go (default: {FOLDER})")
    parser.add_argument("--fresh", action="store_true", help="forget what was answered before")
    parser.add_argument("--real", action="store_true", help="ask a real model, which costs money")
    parser.add_argument("--port", type=int, default=PORT, help=f"of the rehearsal's server (default: {PORT})")
    args = parser.parse_args()

    args.folder.mkdir(parents=True, exist_ok=True)
    (args.folder / ".gitignore").write_text("*\n", encoding="utf-8")
    if args.fresh:
        for old in args.folder.glob("answers.db*"):
            old.unlink()
    questions = args.file or args.folder / "questions.jsonl"
    if args.file is None:
        generate(questions, args.questions)
    logging.disable(logging.WARNING)  # of the failed items, which are told here

    counted = Counted()
    with (
        asking(args) as (hub, url),
        questions.open(encoding="utf-8") as lines,
        closing(Sink(args.folder)) as sink,
    ):
        engine = build(sink, args.folder / "answers.db", hub)
        try:
            seconds = asyncio.run(run(engine, lines, tracers(counted)))
        except KeyboardInterrupt:
            sys.exit(f"\nStopped after {sink.line:,} lines. Start it again: it goes on from there.")
        tell(args.folder, sink, counted, seconds, None if url is None else seen_by(url))


async def run(engine: Hush, lines: TextIO, tracer: list[Any]) -> float:
    """Run the batch, and close the connections behind it. Gives the seconds it took."""
    async with engine:
        return (await engine.run({"lines": lines}, tracer=tracer)).seconds


def tell(folder: Path, sink: Sink, counted: Counted, seconds: float, stats: dict[str, Any] | None) -> None:
    """Print what became of the batch."""
    print(f"{sink.answered:,} answers in {folder / 'answers.jsonl'}, {counted.cached:,} of them from the cache")
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sink.reasons.most_common())
    print(f"{sink.failed:,} failed, which are in {folder / 'failures.jsonl'}{': ' if reasons else ''}{reasons}")
    print(
        f"{sink.tokens:,} tokens and {sink.cost:.4f} dollars, with those of the cache; {counted.again:,} calls repeated"
    )
    grew = f"; memory grew by {peak_mb() - sink.settled_mb:.0f} MB after the first 200 lines" if sink.settled_mb else ""
    print(f"{seconds:.1f} s{grew}")
    if not stats or not stats["calls"]:
        return
    used = stats["calls"] / PER_SECOND / (stats["arrivals_s"][-1] + 1)
    print(
        f"The server saw {stats['calls']:,} calls, at most {stats['most_at_once']} at once; {used:.0%} of the "
        f"{PER_SECOND} a second that it allows were used."
    )
    print(f"It refused {stats['violations']} that were above its limits; {stats['early']} came before they might.")


if __name__ == "__main__":
    main()
