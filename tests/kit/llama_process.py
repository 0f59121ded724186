"""The process in which a llama.cpp server runs: ``python -m kit.llama_process model.gguf '{"slots": 4, ...}'``.

It writes one line to its output when the server listens, the URL, and ends when its input ends: nobody has to be alive
to stop it. What llama.cpp has to say goes to its error output.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from pathlib import Path
from typing import Any

READY_WITHIN_S = 30


def main() -> None:
    faulthandler.dump_traceback_later(READY_WITHIN_S, exit=True)  # whoever waits for the line gets an end, not silence
    path, options = Path(sys.argv[1]), json.loads(sys.argv[2])
    if not path.exists():
        from kit.llama_model import write_model

        write_model(path)
    server = serve(path, **options)
    faulthandler.cancel_dump_traceback_later()
    print(server.listening_address, flush=True)
    sys.stdin.buffer.read()
    os._exit(0)  # requests may be under way, and nobody is left to read what they give


def serve(path: Path, *, use: str, slots: int, slot_tokens: int, api_key: str | None) -> Any:
    """A server that listens on a free port of loopback; it runs in threads of its own."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.model_alias = {"random"}
    params.n_parallel = slots
    params.n_ctx = slots * slot_tokens
    # A prompt to embed or rank has to fit into one batch.
    params.n_batch = params.n_ubatch = min(slot_tokens, 2048) if use == "chat" else slot_tokens
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.n_predict = 256  # for requests that do not say: nobody means a whole context
    params.n_threads_http = 64  # each connection that is kept open takes one
    params.endpoint_metrics = True
    params.cache_ram_mib = 0
    params.fit_params = params.warmup = params.ui = False
    if api_key is not None:
        params.api_keys = [api_key]
    if use != "chat":
        kinds = xllamacpp.llama_pooling_type
        params.embedding = True
        params.pooling_type = {
            "embed": kinds.LLAMA_POOLING_TYPE_LAST,  # as Qwen 3 does; the mean leaves out what is in the cache
            "rerank": kinds.LLAMA_POOLING_TYPE_RANK,
        }[use]
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
