"""A real llama.cpp server over real HTTP, made of what PyPI has (``xllamacpp``, ``gguf``) and random weights.

It needs no network, is up in about 0.2 s and runs in a process of its own, which can be killed. The fixtures `llama`,
`llama_embed` and `llama_rerank` give one each for the session, that is, one for each worker of pytest-xdist: sharing
them would save less than it costs to tell whose requests a server is busy with. `llama_started` gives others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

Use = Literal["chat", "embed", "rerank"]

TESTS = Path(__file__).parents[1]

KEY = "sk-no-key-needed"  # what clients are given that insist on one


class LlamaServer:
    """A server that runs.

    Attributes:
        url: Where it listens, without a slash at the end. Clients of OpenAI's kind want ``f"{url}/v1"``.
        log: The file with all that it said.
        slots: How many requests it works at, at once; more wait.
        slot_tokens: How many tokens a prompt and its answer may have together.
    """

    def __init__(self, url: str, process: subprocess.Popen[str], log: Path, slots: int, slot_tokens: int) -> None:
        self.url = url
        self.log = log
        self.slots = slots
        self.slot_tokens = slot_tokens
        self._process = process

    def kill(self) -> None:
        """End it at once, as a crash does: what is being sent breaks off."""
        self._process.kill()
        self._process.wait()

    def busy(self) -> int:
        """How many requests it is working at."""
        return sum(slot["is_processing"] for slot in self.get("/slots"))

    def metric(self, name: str) -> float:
        """A number of its own, such as ``tokens_predicted_total`` and ``requests_deferred``."""
        for line in self._read("/metrics").splitlines():
            if line.startswith(f"llamacpp:{name} "):
                return float(line.rpartition(" ")[2])
        raise LookupError(f"The server counts no {name!r}.")

    def get(self, path: str) -> Any:
        """What it answers to a GET, as JSON."""
        return json.loads(self._read(path))

    def token(self, text: str) -> int:
        """The number of the token with this text, for `logit_bias`."""
        body = json.dumps({"content": text, "parse_special": True, "add_special": False}).encode()
        with urllib.request.urlopen(f"{self.url}/tokenize", body, timeout=10) as answer:
            (number,) = json.load(answer)["tokens"]
        return int(number)

    def _read(self, path: str) -> str:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            return str(answer.read().decode())


def saying(text: str) -> dict[str, str]:
    """What to add to a request's body so that the answer is this text, whatever the model would say.

    It is llama.cpp's own ``grammar``; for the SDKs, ``extra_body=saying("xin chào")``. Not together with tools.
    """
    return {"grammar": f"root ::= {json.dumps(text, ensure_ascii=False)}"}


@contextmanager
def llama_server(
    folder: Path, *, use: Use = "chat", slots: int = 4, slot_tokens: int = 8192, api_key: str | None = None
) -> Iterator[LlamaServer]:
    """Run a server in a process of its own. It ends with the block, and if this process dies.

    Args:
        folder: Where the model is written, unless it is there, and the log.
        use: What it is asked for. One that embeds or ranks can chat, too; only the last ranks.
        slots: How many requests it works at, at once.
        slot_tokens: How many tokens a prompt and its answer may have together.
        api_key: What requests must bring; ``None``: any or none.

    Raises:
        RuntimeError: It did not start; with what it said.
    """
    options = {"use": use, "slots": slots, "slot_tokens": slot_tokens, "api_key": api_key}
    log = folder / f"llama-{use}-{len(list(folder.glob('llama-*.log')))}.log"
    command = [sys.executable, "-m", "kit.llama_process", str(folder / "random.gguf"), json.dumps(options)]
    with log.open("w") as errors:
        process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    with process:  # waits for it, and closes its pipes
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            if not url:
                code = process.wait()
                said = log.read_text(errors="replace")
                raise RuntimeError(f"The llama.cpp server did not start (exit code {code}). It said:\n{said}")
            yield LlamaServer(url, process, log, slots, slot_tokens)
        finally:
            process.kill()


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this worker keeps the model and the logs of its servers."""
    return tmp_path_factory.mktemp("llama")


@pytest.fixture(scope="session")
def llama_started(llama_folder: Path) -> Callable[..., Any]:
    """Servers besides those of the session: `llama_server` in the folder of this worker."""

    def started(**options: Any) -> Any:
        return llama_server(llama_folder, **options)

    return started


@pytest.fixture(scope="session")
def llama(llama_folder: Path) -> Iterator[LlamaServer]:
    """A server to chat with: OpenAI's and Anthropic's routes."""
    with llama_server(llama_folder) as server:
        yield server


@pytest.fixture(scope="session")
def llama_embed(llama_folder: Path) -> Iterator[LlamaServer]:
    """A server of embeddings, ``/v1/embeddings``: 64 numbers a text."""
    with llama_server(llama_folder, use="embed", slot_tokens=2048) as server:
        yield server


@pytest.fixture(scope="session")
def llama_rerank(llama_folder: Path) -> Iterator[LlamaServer]:
    """A server that ranks, ``/v1/rerank``."""
    with llama_server(llama_folder, use="rerank", slot_tokens=2048) as server:
        yield server
