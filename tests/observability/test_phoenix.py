"""Spans are sent to a real Arize Phoenix and read back through its interfaces."""

from __future__ import annotations

import pytest

from hush.observability._otel._conventions import conventional
from hush.observability._otel._endpoint import Endpoint
from hush.observability._otel._exporter import OTLPExporter, resource_of
from kit.phoenix_server import phoenix
from kit.span_records import ALL, LLM, TRACE, batch

TOKENS = "{ projects { edges { node { name traceCount tokenCountPrompt tokenCountCompletion } } } }"


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_run_is_read_back(tmp_path):
    with phoenix(tmp_path) as server:
        exporter = OTLPExporter(Endpoint(server.endpoint), conventional, resource_of("shop"))
        exporter.export(batch())
        exporter.close()
        found = {one["context"]["span_id"]: one for one in server.spans(len(ALL))}
        assert found.keys() == {one.id for one in ALL}
        for sent in ALL:
            got = found[sent.id]
            assert got["context"]["trace_id"] == TRACE
            assert got["parent_id"] == sent.parent
            assert got["status_code"] == ("ERROR" if sent.status == "failed" else "UNSET")
            assert got["attributes"]["user.id"] == "ann"
        asked = found[LLM.id]
        assert (asked["name"], asked["span_kind"]) == ("chat gpt-4o-mini", "LLM")
        # It reads the GenAI conventions: these are its own names.
        assert asked["attributes"]["llm.token_count.prompt"] == 100
        assert asked["attributes"]["llm.token_count.completion"] == 20
        assert asked["attributes"]["llm.model_name"] == "gpt-4o-mini"
        (project,) = (
            one["node"] for one in server.graphql(TOKENS)["projects"]["edges"] if one["node"]["name"] == "default"
        )
        assert project == {"name": "default", "traceCount": 1, "tokenCountPrompt": 100.0, "tokenCountCompletion": 20.0}
