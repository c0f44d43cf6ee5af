"""The Modelfile of an adapter: what Ollama needs to serve it with the template it was trained with.

A wrong template at serving time is the commonest way to lose what was trained, so the template is
taken from the tokenizer itself, by rendering a dialogue, and proven against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vox_assets.contract.rows import Message, turns

MODELFILE = "Modelfile"
#: Architectures whose safetensors adapters Ollama converts itself; others need a GGUF adapter.
CONVERTED_BY_OLLAMA = ("llama", "gemma2")

#: Contents that no template holds: their positions in the output show the text between turns.
_SENTINELS = ("\x01one\x01", "\x01two\x01", "\x01three\x01")


@dataclass(frozen=True)
class TurnTemplate:
    """A chat template as the texts around its turns."""

    opening: str
    before_user: str
    before_answer: str
    after_answer: str

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt text of a dialogue that ends with a user's turn."""
        text = self.opening
        for turn in messages:
            if turn["role"] == "user":
                text += self.before_user + turn["content"] + self.before_answer
            else:
                text += turn["content"] + self.after_answer
        return text


def turn_template(tokenizer: Any) -> TurnTemplate | None:
    """The tokenizer's chat template in that form; None when it does not have that form."""
    first, second, third = _SENTINELS
    text = _rendered(tokenizer, [*turns(first, second), Message(role="user", content=third)])
    parts = []
    for sentinel in _SENTINELS:
        before, found, text = text.partition(sentinel)
        if not found:
            return None
        parts.append(before)
    head, before_answer, between = parts
    # What opens a user's turn is what the first and the second have in common.
    shared = 0
    while shared < min(len(head), len(between)) and head[-1 - shared] == between[-1 - shared]:
        shared += 1
    found_template = TurnTemplate(
        opening=head[: len(head) - shared],
        before_user=head[len(head) - shared :],
        before_answer=before_answer,
        after_answer=between[: len(between) - shared],
    )
    asked = [
        *turns("Write f.", "fn f() {}", "And g.", "fn g() {}"),
        Message(role="user", content="Now h."),
    ]
    return found_template if found_template.render(asked) == _rendered(tokenizer, asked) else None


def _rendered(tokenizer: Any, messages: Sequence[Message]) -> str:
    return str(
        tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
    )


def render_modelfile(tokenizer: Any, base_name: str, model_type: str) -> str:
    """The Modelfile as text; `model_type` is that of the base's configuration."""
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
        lines.append("# No TEMPLATE: the base's own, which Ollama reads from it, is not of turns.")
    else:
        body = (
            f"{_literal(template.opening)}"
            "{{- range .Messages }}"
            '{{- if eq .Role "user" }}' + _literal(template.before_user) + "{{ .Content }}"
            f"{_literal(template.before_answer)}"
            '{{- else if eq .Role "assistant" }}{{ .Content }}' + _literal(template.after_answer)
        )
        lines.append(f'TEMPLATE """{body}' + '{{- end }}{{- end }}"""')
    lines += [f'PARAMETER stop "{tokenizer.eos_token}"', "PARAMETER temperature 0", ""]
    return "\n".join(lines)


def _literal(text: str) -> str:
    """Text that Go's template engine gives as it is, white space included."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '{{ "' + escaped + '" }}' if text else ""
