"""A tiny language model with random weights as a GGUF file: what a real llama.cpp server can be started with anywhere.

It is a Qwen 3 in shape, because one such file can chat, embed and rerank: two layers of 64 numbers, a few hundred kB,
the same bytes each time. Any text in any script goes in and can come out: the vocabulary is the 256 bytes, and words
of several scripts on top of them. Its weights are random, with these exceptions:

- The first number of the state is large for each token and passes through unchanged, so that the weights of the last
  layer that belong to it are biases. They let the model say whole words only, so that its chatter is valid UTF-8. A
  grammar or JSON schema makes it say the bytes that it demands.
- After `LAST_WORDS` it ends, in a text of JSON that text: within some ten tokens, also at temperature 0.
- With tools it calls one, and answers in words when it has the result: one head of the first layer looks for
  ``<|call|>``, which the template writes then, and where it is found the end of a line leads to ``<tool_call>``.
- ``<think>`` is written by the template where ``chat_template_kwargs`` have ``"think": true``, not by the model.

The formula of the layers and the names of the tensors are those of llama.cpp's ``qwen3``; the byte alphabet is GPT-2's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

CONTEXT_TOKENS = 32768

WORDS = [
    *("the", "a", "sea", "ship", "wind", "runs", "over", "under", "green", "stone"),
    *("xin", "chào", "thế", "giới", "đường", "về", "你好", "世界", "海", "мир", "здравствуй", "море"),
    *("नमस्ते", "مرحبا", "שלום", "こんにちは", "안녕", "γειά", "น้ำ", "🙂", "🚢", "👩\u200d👩\u200d👧"),
]

LAST_WORDS = ("stone", "Ġstone")  # Ġ is a blank, and Ċ, below, the end of a line

# --- what the vocabulary has besides bytes and words ------------------------------------------------------------------
CONTROL = ("<|start|>", "<|im_start|>", "<|im_end|>", "<|pad|>", "<|call|>")
MARKS = ("<tool_call>", "</tool_call>", "<think>", "</think>")

TEMPLATE = """\
{%- if tools %}<|im_start|>system
{% if messages and messages[0].role == 'system' %}{{ messages[0].content }}

{% endif %}Tools:
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
{%- if messages and messages[-1].role != 'tool' %}<|call|>{% endif %}<|im_end|>
{% endif %}
{%- for m in messages %}
{%- if m.role == 'system' and tools and loop.first %}
{%- elif m.role == 'tool' %}<|im_start|>user
<tool_response>
{{ m.content }}
</tool_response><|im_end|>
{% else %}<|im_start|>{{ m.role }}
{% if m.reasoning_content %}<think>
{{ m.reasoning_content }}</think>{% endif %}{{ m.content or '' }}
{%- for call in m.tool_calls or [] %}
<tool_call>{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}</tool_call>
{%- endfor %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% if think %}<think>
{% endif %}{% endif %}"""

RERANK_TEMPLATE = "<|start|>{query}<|im_end|>{document}<|im_end|>"

# --- the shape --------------------------------------------------------------------------------------------------------
WIDTH, LAYERS, HEADS, KV_HEADS, HEAD_WIDTH, INNER = 64, 2, 4, 2, 16, 128
BIAS, CALL, CALLED, LINE, DONE = range(5)  # the numbers of the state that mean something
LARGE = 8.0  # as much as all random numbers of a state together
NEVER = -20.0


def write_model(path: Path, seed: int = 7) -> None:
    """Write the model. Whoever looks for the file finds all of it or none."""
    import gguf
    import numpy as np

    tokens, merges, whole = _vocabulary()
    first = len(tokens)
    tokens += [*CONTROL, *MARKS]
    ids = {token: number for number, token in enumerate(tokens)}
    kinds = [gguf.TokenType.NORMAL] * first
    kinds += [gguf.TokenType.CONTROL] * len(CONTROL) + [gguf.TokenType.USER_DEFINED] * len(MARKS)

    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    writer = gguf.GGUFWriter(unfinished, "qwen3")
    writer.add_name("random")
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HEAD_WIDTH)
    writer.add_value_length(HEAD_WIDTH)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(1e9)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(ids["<|start|>"])
    writer.add_eos_token_id(ids["<|im_end|>"])
    writer.add_pad_token_id(ids["<|pad|>"])
    writer.add_add_bos_token(True)
    writer.add_chat_template(
        [{"name": "default", "template": TEMPLATE}, {"name": "rerank", "template": RERANK_TEMPLATE}]
    )
    writer.add_classifier_output_labels(["yes", "no"])

    for name, weights in _tensors(np.random.default_rng(seed), ids, whole).items():
        writer.add_tensor(name, np.ascontiguousarray(weights, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.replace(path)


def _vocabulary() -> tuple[list[str], list[str], set[str]]:
    """The tokens of bytes and words, the merges that make words of bytes, and the tokens that are whole words."""
    alphabet = _byte_alphabet()
    tokens = [alphabet[byte] for byte in range(256)]
    known, merges, whole = set(tokens), list[str](), set[str]()
    for word in WORDS:
        for text in (word, f" {word}"):
            letters = [alphabet[byte] for byte in text.encode()]
            merged = letters[0]
            for letter in letters[1:]:
                if merged + letter not in known:
                    merges.append(f"{merged} {letter}")
                    known.add(merged + letter)
                    tokens.append(merged + letter)
                merged += letter
            whole.add(merged)
    return tokens, merges, whole


def _byte_alphabet() -> dict[int, str]:
    """A printable letter for each byte: itself if it is one, else the next that is free above 255."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}


def _tensors(random: Any, ids: dict[str, int], whole: set[str]) -> dict[str, Any]:
    """The weights by name; `random` is a generator of numpy's."""

    def normal(*shape: int, scale: float) -> Any:
        return random.standard_normal(shape) * scale

    def ones(width: int) -> Any:
        return normal(width, scale=0.0) + 1

    embeddings = normal(len(ids), WIDTH, scale=1.0)
    embeddings[:, CALL : DONE + 1] = 0.0
    embeddings[:, BIAS] = LARGE
    meant = {"<|call|>": CALL, "Ċ": LINE, "</tool_call>": DONE} | dict.fromkeys(LAST_WORDS, DONE)
    for token, meaning in meant.items():
        embeddings[ids[token], meaning] = LARGE

    # Where JSON may stand it stands, and without blanks that nobody needs.
    biases = dict.fromkeys("{[:-0123456789", 0.75 * NEVER) | dict.fromkeys("ĊĉčĠ", 1.5 * NEVER)
    biases |= {",": 0.74 * NEVER, "}": 0.73 * NEVER, "]": 0.73 * NEVER}  # rather an end than more
    biases |= {"<|im_end|>": 0.0, '"': 0.1, "</tool_call>": 0.5 * NEVER, "<think>": 1.5 * NEVER}
    output = normal(len(ids), WIDTH, scale=0.15)
    output[:, CALL : DONE + 1] = 0.0
    output[:, BIAS] = [0.0 if token in whole else biases.get(token, NEVER) for token in ids]
    end, call = ids["<|im_end|>"], ids["<tool_call>"]
    for token in "<tool_call>", *biases:
        output[ids[token], 1:] = 0.0  # as likely here as there: no list goes on for ever
    output[end, DONE], output[ids['"'], DONE] = 10.0, 9.0
    output[call, [BIAS, CALLED, LINE]] = -15.0, 10.0, 10.0  # only both together make it positive

    tensors = {
        "token_embd.weight": embeddings,
        "output.weight": output,
        "output_norm.weight": ones(WIDTH),
        "cls.output.weight": normal(2, WIDTH, scale=0.3),
    }
    for layer in range(LAYERS):
        back = normal(WIDTH, HEADS * HEAD_WIDTH, scale=0.1)
        down = normal(WIDTH, INNER, scale=0.05)
        back[: DONE + 1] = down[: DONE + 1] = 0.0  # nothing is added to the numbers that mean something
        layers = {
            "attn_norm": ones(WIDTH),
            "attn_q": normal(HEADS * HEAD_WIDTH, WIDTH, scale=0.3),
            "attn_q_norm": ones(HEAD_WIDTH),
            "attn_k": normal(KV_HEADS * HEAD_WIDTH, WIDTH, scale=0.3),
            "attn_k_norm": ones(HEAD_WIDTH),
            "attn_v": normal(KV_HEADS * HEAD_WIDTH, WIDTH, scale=0.3),
            "attn_output": back,
            "ffn_norm": ones(WIDTH),
            "ffn_gate": normal(INNER, WIDTH, scale=0.3),
            "ffn_up": normal(INNER, WIDTH, scale=0.3),
            "ffn_down": down,
        }
        if layer == 0:
            _look_for_call(layers)
        tensors |= {f"blk.{layer}.{name}.weight": weights for name, weights in layers.items()}
    return tensors


def _look_for_call(layer: dict[str, Any]) -> None:
    """Make a head of a layer write to `CALLED` if ``<|call|>`` came before."""
    keys, values = layer["attn_k"][:HEAD_WIDTH], layer["attn_v"][:HEAD_WIDTH]
    still = HEAD_WIDTH // 2 - 1  # the two that the position turns least
    keys[:] = values[0] = layer["attn_q"][:HEAD_WIDTH] = 0.0
    keys[still - 1, BIAS] = keys[still, CALL] = layer["attn_q"][still, BIAS] = values[0, CALL] = 1.0
    layer["attn_q_norm"][still] = 8.0
    layer["attn_output"][CALLED, 0] = LARGE / 4
