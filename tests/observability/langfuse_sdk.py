"""Makes ``data/langfuse_sdk.json``: what Langfuse's own SDK sends for the run of ``kit.span_records``.

Run by hand where ``langfuse`` is installed, since it is no dependency of the tests:

    PYTHONPATH=tests:src python tests/observability/langfuse_sdk.py
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from langfuse import Langfuse, propagate_attributes
from langfuse._version import __version__

from kit.otlp_receiver import otlp_receiver
from kit.span_records import LLM, MESSAGES, RUN, at

SECRETS = {"public_key": "pk-lf-planted", "secret_key": "sk-lf-planted"}
CHOSEN = ("authorization", "content-encoding", "content-type")


def main() -> None:
    with otlp_receiver() as receiver:
        host = receiver.url.removesuffix("/v1/traces")
        client = Langfuse(**SECRETS, base_url=host, environment="staging", release="1.2.3")
        send(client)
        client.flush()
        client.shutdown()
    found = {
        "version": __version__,
        "path": receiver.asked[0].path,
        "headers": {
            name: value
            for name, value in receiver.asked[0].headers.items()
            if name in CHOSEN or name.startswith("x-langfuse-")
        },
        "resource": {name: of for name, of in receiver.spans[0].resource.items() if name != "service.instance.id"},
        "spans": {
            span.name: {
                "kind": span.kind,
                "status": span.status,
                "message": span.message,
                "attributes": span.attributes,
            }
            for span in receiver.spans
        },
    }
    path = Path(__file__).parent / "data" / "langfuse_sdk.json"
    path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")


def send(client: Langfuse) -> None:
    with propagate_attributes(
        user_id="ann",
        session_id="s-1",
        tags=["nightly", "eu"],
        trace_name="shop",
        metadata={"request_id": "req-1"},
    ):
        with client.start_as_current_observation(name="shop", as_type="span", input=RUN.inputs) as run:
            with client.start_as_current_observation(
                name="ask",
                as_type="generation",
                input=MESSAGES,
                model="gpt-4o-mini",
                model_parameters={"temperature": 0.2, "max_tokens": 50, "verbosity": "low"},
                completion_start_time=datetime.fromtimestamp(at(4.3) / 1e9, UTC),
            ) as asked:
                assert LLM.outputs is not None
                asked.update(
                    output={"role": "assistant", "content": "A cat."},
                    usage_details={"input": 70, "output": 15, "total": 120, "input_cache_read": 30}
                    | {"output_reasoning_tokens": 5},
                    cost_details={"total": 0.0012},
                    metadata={"path": "each/ask", "attempts": 2, "finish_reason": "stop", "response_id": "chatcmpl-1"},
                )
            with client.start_as_current_observation(
                name="vectors", as_type="embedding", input={"texts": ["a", "b"]}, model="text-embedding-3-small"
            ) as vectors:
                vectors.update(usage_details={"input": 4}, cost_details={"total": 0.1})
            with client.start_as_current_observation(name="buy", as_type="span", input={"sku": 7}) as buy:
                buy.update(level="ERROR", status_message="Sold: sold out")
            with client.start_as_current_observation(name="pay", as_type="span") as pay:
                pay.update(level="WARNING", status_message="Sold: sold out")
            run.update(output={"bought": 1})


if __name__ == "__main__":
    main()
