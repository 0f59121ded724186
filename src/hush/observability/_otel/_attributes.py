"""The names of all attributes and events that are sent, in one place, since the conventions for models still move.

Sources: the GenAI conventions (https://github.com/open-telemetry/semantic-conventions-genai), those of OpenTelemetry
for errors, users and sessions (https://opentelemetry.io/docs/specs/semconv/), OpenInference's for what a span read and
gave (https://arize-ai.github.io/openinference/spec/), and Langfuse's own
(https://langfuse.com/integrations/native/opentelemetry).
"""

from __future__ import annotations

# --- Hush's own -------------------------------------------------------------------------------------------------------
KIND = "hush.kind"
STATUS = "hush.status"
PATH = "hush.path"
NODE = "hush.node"  # its name: that of the span may be another, as the conventions want it
ITEM = "hush.item"
ITEMS = "hush.items"
KEY = "hush.key"
ROUND = "hush.round"
ATTEMPT = "hush.attempt"
ATTEMPTS = "hush.attempts"
TAGS = "hush.tags"
CACHED = "hush.cached"
READY_S = "hush.ready_s"
WAITED_S = "hush.waited_s"
RETRY_S = "hush.retry_s"
RESOURCE = "hush.resource"
COST = "hush.cost_usd"
PARAMETER = "hush.request."  # what a model was asked with and the conventions have no name for
REQUEST_ID = "hush.request_id"
DONE = "hush.map.done"
FAILED = "hush.map.failed"
LEFT_OUT = "hush.map.left_out"
TOTAL = "hush.map.total"
ANNOTATIONS_DROPPED = "hush.annotations.dropped"  # what code put on its node's span beyond 128 of a kind
CANCELLED = "hush.cancelled"  # why a run was, if that was said
RUN_STATUS = "hush.run.status"
RUN_LEFT_OUT = "hush.run.left_out"
RUN_DROPPED = "hush.run.dropped"
TOTALS = "hush.run.totals"

QUEUED = "hush.limit.queued"
ADMITTED = "hush.limit.admitted"
RELEASED = "hush.limit.released"
LIMITS = "hush.limits"
CALLED = "hush.called"
FIRST = "hush.first_chunk"
REROUTED = "hush.rerouted"

# --- OpenTelemetry's --------------------------------------------------------------------------------------------------
USER_ID = "user.id"
SESSION_ID = "session.id"
ERROR_TYPE = "error.type"
EXCEPTION = "exception"
EXCEPTION_TYPE = "exception.type"
EXCEPTION_MESSAGE = "exception.message"
EXCEPTION_STACKTRACE = "exception.stacktrace"
FAILED_PATH = "hush.exception.path"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"

# --- of models --------------------------------------------------------------------------------------------------------
OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
PROVIDERS = {"azure": "azure.ai.openai", "gemini": "gcp.gemini"}
"""The names of providers, where they are others than those of the forms of requests."""
CONVERSATION_ID = "gen_ai.conversation.id"
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
STREAM = "gen_ai.request.stream"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"
ASKED_FOR = "gen_ai.output.type"
REASONING_LEVEL = "gen_ai.request.reasoning.level"
STOP_SEQUENCES = "gen_ai.request.stop_sequences"
USAGE = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}
"""By what ``usage`` of our nodes calls them."""
OLDER_USAGE = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})
"""The same counts under other names, or their sum."""
WHOLE_PARAMETERS = {
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
    "dimensions": "gen_ai.embeddings.dimension.count",
}
PARAMETERS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
}
OPERATIONS = {"llm": "chat", "chain": "chat", "embedding": "embeddings", "rerank": "rerank"}
"""By kinds of nodes. The conventions have no word for reranking, and allow others."""

# --- OpenInference's --------------------------------------------------------------------------------------------------
SPAN_KIND = "openinference.span.kind"
SPAN_KINDS = {"llm": "LLM", "chain": "LLM", "embedding": "EMBEDDING", "rerank": "RERANKER"}
OTHER_SPAN_KIND = "CHAIN"
INPUT = "input.value"
INPUT_TYPE = "input.mime_type"
OUTPUT = "output.value"
OUTPUT_TYPE = "output.mime_type"
JSON_TYPE = "application/json"

# --- Langfuse's -------------------------------------------------------------------------------------------------------
LF_TRACE_NAME = "langfuse.trace.name"
LF_TRACE_TAGS = "langfuse.trace.tags"
LF_TRACE_METADATA = "langfuse.trace.metadata."
LF_ENVIRONMENT = "langfuse.environment"
LF_RELEASE = "langfuse.release"
LF_IS_ROOT = "langfuse.internal.is_app_root"
LF_TYPE = "langfuse.observation.type"
LF_LEVEL = "langfuse.observation.level"
LF_STATUS_MESSAGE = "langfuse.observation.status_message"
LF_INPUT = "langfuse.observation.input"
LF_OUTPUT = "langfuse.observation.output"
LF_METADATA = "langfuse.observation.metadata."
LF_MODEL = "langfuse.observation.model.name"
LF_PARAMETERS = "langfuse.observation.model.parameters"
LF_USAGE = "langfuse.observation.usage_details"
LF_COST = "langfuse.observation.cost_details"
LF_COMPLETION_START = "langfuse.observation.completion_start_time"
LF_TYPES = {"llm": "generation", "chain": "generation", "embedding": "embedding", "rerank": "retriever"}
LF_USAGE_NAMES = {
    "input_tokens": "input",
    "output_tokens": "output",
    "total_tokens": "total",
    "cached_tokens": "input_cache_read",
    "cache_write_tokens": "input_cache_creation",
    "reasoning_tokens": "output_reasoning_tokens",
}
