"""Renders the Modelfile that lets Ollama serve an adapter with the chat template of its training.

A wrong template at serving time is the most common way to lose what was trained. The template is
therefore derived from dialogues that the tokenizer renders, and compared with its output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vox_assets.compute.tokens import TemplateError, render, stop_tokens
from vox_assets.contract.rows import Message, turns

MODELFILE = "Modelfile"
#: Architectures whose safetensors adapters Ollama can convert; others need a GGUF adapter.
CONVERTED_BY_OLLAMA = ("llama", "gemma2")

#: Turn contents that occur in no template: their positions in the output mark the text in between.
_SENTINELS = ("\x01one\x01", "\x01two\x01", "\x01three\x01")


@dataclass(frozen=True)
class TurnTemplate:
    """A chat template that consists of fixed texts around the turns."""

    opening: str
    before_user: str
    after_user: str
    before_answer: str
    after_answer: str
    #: Stands in place of `before_answer` where the answer is still to come: Qwen3 writes an empty
    #: thought there alone, and Mistral opens an answer with a space that the model writes itself.
    asking: str

    def render(self, messages: Sequence[Message]) -> str:
        """Render the prompt of a dialogue that ends with a user turn."""
        text = self.opening
        for turn in messages:
            if turn["role"] == "user":
                text += self.before_user + turn["content"] + self.after_user
            else:
                text += self.before_answer + turn["content"] + self.after_answer
        return text + self.asking


def turn_template(tokenizer: Any) -> TurnTemplate | None:
    """Derive the tokenizer's chat template; None if it is not made of fixed texts around turns."""
    first, second, third = _SENTINELS
    prompt = [*turns(first, second), Message(role="user", content=third)]
    try:
        text = render(tokenizer, prompt, asking=True)
    except TemplateError:
        # The template takes one turn of a user alone.
        return None
    parts = []
    for sentinel in _SENTINELS:
        before, separator, text = text.partition(sentinel)
        if not separator:
            return None
        parts.append(before)
    head, answered, between = parts
    # The common ending of the texts before the first and the second user turn opens a user turn.
    # The first token of a text belongs to the opening, though `<s>` and `</s>` end alike.
    first_user = head.removeprefix(tokenizer.bos_token or "")
    shared = _common_start(first_user[::-1], between[::-1])
    # The common start of the texts after the first and the last user turn closes a user turn.
    closing = _common_start(answered, text)
    template = TurnTemplate(
        opening=head[: len(head) - shared],
        before_user=head[len(head) - shared :],
        after_user=text[:closing],
        before_answer=answered[closing:],
        after_answer=between[: len(between) - shared],
        asking=text[closing:],
    )
    dialogue = [
        *turns("Write f.", "fn f() {}", "And g.", "fn g() {}"),
        Message(role="user", content="Now h."),
    ]
    return (
        template if template.render(dialogue) == render(tokenizer, dialogue, asking=True) else None
    )


def _common_start(one: str, other: str) -> int:
    """Return how many characters two texts share at their start."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (left, right) in pairs if left != right), min(len(one), len(other)))


def render_modelfile(tokenizer: Any, base_name: str, model_type: str) -> str:
    """Render the Modelfile; `model_type` comes from the configuration of the base model.

    Without a TEMPLATE, Ollama takes one of its own that looks alike, or sends the prompt without
    any. The Modelfile of a chat template that has no TEMPLATE therefore has no instruction, so that
    Ollama refuses it.
    """
    template = turn_template(tokenizer)
    if template is None:
        return (
            f"# Ollama cannot serve this adapter: the chat template of {base_name} changes the\n"
            "# turns of a dialogue, and a TEMPLATE only writes texts around them. Serve it with\n"
            "# llama.cpp or vLLM and chat_template.jinja, as README.md says.\n"
        )
    adapter = "." if model_type in CONVERTED_BY_OLLAMA else "./adapter.gguf"
    lines = [
        f"# Put {base_name} (safetensors) beside this file as ./base, then:",
        "#   ollama create NAME -f Modelfile",
    ]
    if adapter != ".":
        lines.append("#   after convert_lora_to_gguf.py --base base --outfile adapter.gguf .")
    lines += [
        "# TEMPLATE leaves out system messages: no training row has one.",
        "FROM ./base",
        f"ADAPTER {adapter}",
        f'TEMPLATE """{_go_template(template, tokenizer)}"""',
    ]
    stops = tokenizer.convert_ids_to_tokens(stop_tokens(tokenizer))
    lines += [*(f'PARAMETER stop "{stop}"' for stop in stops), "PARAMETER temperature 0", ""]
    return "\n".join(lines)


def _go_template(template: TurnTemplate, tokenizer: Any) -> str:
    opening, bos = template.opening, tokenizer.bos_token_id
    if bos is not None and tokenizer("")["input_ids"][:1] == [bos]:
        # Ollama adds the token in front of a text itself, as the tokenizer does.
        opening = opening.removeprefix(tokenizer.bos_token)
    asking = ""
    if template.asking:
        asking = (
            "{{- if eq (len (slice $.Messages $i)) 1 }}" + _literal(template.asking) + "{{- end }}"
        )
    parts = (
        _literal(opening),
        "{{- range $i, $turn := .Messages }}",
        '{{- if eq .Role "user" }}',
        _literal(template.before_user) + "{{ .Content }}" + _literal(template.after_user) + asking,
        '{{- else if eq .Role "assistant" }}',
        _literal(template.before_answer) + "{{ .Content }}" + _literal(template.after_answer),
        "{{- end }}{{- end }}",
    )
    return "".join(parts)


def _literal(text: str) -> str:
    """Quote a text so that Go's template engine prints it unchanged, including white space."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '{{ "' + escaped + '" }}' if text else ""
