"""Renders the Modelfile that lets Ollama serve an adapter with the chat template of its training.

A wrong template at serving time is the most common way to lose what was trained. The template is
therefore derived from dialogues that the tokenizer renders, and compared with its output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vox_assets.compute.tokens import render, stop_tokens
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
    before_answer: str
    after_answer: str

    def render(self, messages: Sequence[Message]) -> str:
        """Render the prompt of a dialogue that ends with a user turn."""
        text = self.opening
        for turn in messages:
            if turn["role"] == "user":
                text += self.before_user + turn["content"] + self.before_answer
            else:
                text += turn["content"] + self.after_answer
        return text


def turn_template(tokenizer: Any) -> TurnTemplate | None:
    """Derive the tokenizer's chat template; None if it is not made of fixed texts around turns."""
    first, second, third = _SENTINELS
    prompt = [*turns(first, second), Message(role="user", content=third)]
    text = render(tokenizer, prompt, asking=True)
    parts = []
    for sentinel in _SENTINELS:
        before, separator, text = text.partition(sentinel)
        if not separator:
            return None
        parts.append(before)
    head, before_answer, between = parts
    # The common ending of the texts before the first and the second user turn opens a user turn.
    # The first token of a text belongs to the opening, though `<s>` and `</s>` end alike.
    longest = min(len(head.removeprefix(tokenizer.bos_token or "")), len(between))
    shared = 0
    while shared < longest and head[-1 - shared] == between[-1 - shared]:
        shared += 1
    template = TurnTemplate(
        opening=head[: len(head) - shared],
        before_user=head[len(head) - shared :],
        before_answer=before_answer,
        after_answer=between[: len(between) - shared],
    )
    dialogue = [
        *turns("Write f.", "fn f() {}", "And g.", "fn g() {}"),
        Message(role="user", content="Now h."),
    ]
    return (
        template if template.render(dialogue) == render(tokenizer, dialogue, asking=True) else None
    )


def render_modelfile(tokenizer: Any, base_name: str, model_type: str) -> str:
    """Render the Modelfile; `model_type` comes from the configuration of the base model."""
    adapter = "." if model_type in CONVERTED_BY_OLLAMA else "./adapter.gguf"
    lines = [
        f"# Put {base_name} (safetensors) beside this file as ./base, then:",
        "#   ollama create NAME -f Modelfile",
    ]
    if adapter != ".":
        lines.append("#   after convert_lora_to_gguf.py --base base --outfile adapter.gguf .")
    lines += ["FROM ./base", f"ADAPTER {adapter}"]
    template = turn_template(tokenizer)
    if template is None:
        lines.append("# No TEMPLATE: the chat template is not made of fixed texts around turns, so")
        lines.append("# Ollama reads it from the base.")
    else:
        opening, bos = template.opening, tokenizer.bos_token_id
        if bos is not None and tokenizer("")["input_ids"][:1] == [bos]:
            # Ollama adds the token in front of a text itself, as the tokenizer does.
            opening = opening.removeprefix(tokenizer.bos_token)
        body = (
            f"{_literal(opening)}"
            "{{- range .Messages }}"
            '{{- if eq .Role "user" }}' + _literal(template.before_user) + "{{ .Content }}"
            f"{_literal(template.before_answer)}"
            '{{- else if eq .Role "assistant" }}{{ .Content }}' + _literal(template.after_answer)
        )
        lines.append(f'TEMPLATE """{body}' + '{{- end }}{{- end }}"""')
    stops = tokenizer.convert_ids_to_tokens(stop_tokens(tokenizer))
    lines += [*(f'PARAMETER stop "{stop}"' for stop in stops), "PARAMETER temperature 0", ""]
    return "\n".join(lines)


def _literal(text: str) -> str:
    """Quote a text so that Go's template engine prints it unchanged, including white space."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '{{ "' + escaped + '" }}' if text else ""
