"""Renders the model card of an adapter from its manifest, which may be of an earlier version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vox_assets.training.adapter.evaluation_table import (
    ANSWER_HEADER,
    LOSS_HEADER,
    answer_lines,
    kind_table,
    ladder_table,
    loss_lines,
    sample_table,
)
from vox_assets.training.adapter.layout import ROWS
from vox_assets.training.adapter.modelfile import MODELFILE
from vox_assets.training.adapter.recorded import recorded_evaluation

#: Values that vLLM takes for `--max-lora-rank`.
VLLM_MAX_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)


def render_card(manifest: Mapping[str, Any]) -> str:
    """Render the model card from the manifest alone, as Markdown with hub metadata."""
    rows, training, rank = manifest["rows"], manifest["training"], manifest["rank"]
    base, provenance = manifest["base_model"], manifest["provenance"]
    lanes = ", ".join(f"`{lane}`" for lane in manifest["config"]["lanes"])
    lines = [
        "---",
        f"base_model: {base['name']}",
        "library_name: peft",
        "pipeline_tag: text-generation",
        "tags: [lora, qlora, sft, vox-assets]",
        "---",
        "",
        f"# {manifest['name']}",
        "",
        f"A LoRA adapter of `{base['name']}` for the lanes {lanes} of a Vox corpus, trained and "
        f"judged by vox-assets under digest `{manifest['digest']}`. `manifest.json` holds every "
        f"figure below and the SHA-256 of every file.",
        "",
        "## Data",
        "",
        f"{rows['train']} training rows ({rows['train_tokens']} tokens with the chat template) and "
        f"{rows['eval']} held-out rows, split by source file. Row ids, lanes and sources are in "
        f"`{ROWS}`. Source commit: {provenance.get('source_commit') or 'not under git'}. "
        f"Policy: profile `{provenance.get('profile', '?')}` "
        f"({provenance.get('profile_digest', '?')}).",
        "",
        "| training rows by | |",
        "|---|---|",
        *(
            f"| {label} | {_tally(rows[key])} |"
            for label, key in (
                ("lane", "lanes"),
                ("language", "languages"),
                ("origin", "origins"),
                ("task", "task_families"),
            )
        ),
        "",
        "## Training",
        "",
        f"QLoRA: {base['quantisation']} base, LoRA on all linear layers, loss on answers only. "
        f"Rank {rank['rank']}, alpha {rank['alpha']}, peak rate {rank['learning_rate']:g}. "
        f"{_sentence(rank['reason'])}",
        "",
        f"{training['steps']} of {training['planned_steps']} steps, {training['tokens']} packed "
        f"tokens, {training['seconds']:.0f} s on {training['device']} in {training['dtype']} "
        f"({training['tokens_per_second']:.0f} tokens/s). Ended because "
        f"{training['stopped_by']}; the weights are those of step {training['best_step']}.",
        "",
        "## Evaluation",
        "",
        *_evaluation_section(recorded_evaluation(manifest)),
        "",
        "## Limits",
        "",
        f"Trained for the lanes {lanes} alone: other kinds of requests are out of scope and may be "
        f"answered worse than by the base model. Held-out rows come from the same project as the "
        f"training rows, so the figures say how well this project is learned and nothing about "
        f"others. The base model's own limits and licence apply. Code it writes has to be checked "
        f"by the compiler before use.",
        "",
        "## Use",
        "",
        "```python",
        "from peft import PeftModel",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        f'base = AutoModelForCausalLM.from_pretrained("{base["name"]}"{_pinned(base)})',
        'model = PeftModel.from_pretrained(base, "PATH_OF_THIS_FOLDER")',
        'tokenizer = AutoTokenizer.from_pretrained("PATH_OF_THIS_FOLDER")',
        "```",
        "",
        _vllm(manifest),
        "",
        "llama.cpp: `convert_hf_to_gguf.py --outfile base.gguf BASE_FOLDER` and "
        "`convert_lora_to_gguf.py --base BASE_FOLDER --outfile adapter.gguf PATH_OF_THIS_FOLDER`, "
        "then `llama-server -m base.gguf --lora adapter.gguf --jinja --chat-template-file "
        "PATH_OF_THIS_FOLDER/chat_template.jinja`.",
        "",
        f"Ollama: `{MODELFILE}` has the chat template that it was trained with, or says why Ollama "
        f"cannot serve it.",
        "",
    ]
    return "\n".join(lines)


def _pinned(base: Mapping[str, Any]) -> str:
    return f', revision="{base["revision"]}"' if base["revision"] else ""


def _vllm(manifest: Mapping[str, Any]) -> str:
    base, rank = manifest["base_model"], manifest["rank"]["rank"]
    limit = next((limit for limit in VLLM_MAX_RANKS if rank <= limit), None)
    if limit is None:
        return f"vLLM serves no adapter of rank {rank}: its limit is {VLLM_MAX_RANKS[-1]}."
    revision = f" --revision {base['revision']}" if base["revision"] else ""
    return (
        f"vLLM: `vllm serve {base['name']}{revision} --enable-lora --max-lora-rank {limit} "
        f"--lora-modules {manifest['name']}=PATH_OF_THIS_FOLDER "
        f"--chat-template PATH_OF_THIS_FOLDER/chat_template.jinja`."
    )


def _evaluation_section(evaluation: Mapping[str, Any] | None) -> list[str]:
    if evaluation is None:
        return ["Not evaluated yet: do not serve it."]
    lines = [
        "| verdict | holds | figures |",
        "|---|---|---|",
    ]
    for verdict in evaluation["verdicts"]:
        no = "undecided" if verdict["undecided"] else "**no**"
        holds = "yes" if verdict["passed"] else no
        lines.append(f"| {verdict['name']} | {holds} | {verdict['reason']} |")
    return [
        *lines,
        "",
        "Loss is nats per answer token, weighted by tokens; intervals are over "
        "sources, those of shares are Wilson's.",
        "",
        *_markdown_table(LOSS_HEADER, loss_lines(evaluation)),
        "",
        *_markdown_table(ANSWER_HEADER, answer_lines(evaluation)),
        *_exam_section(evaluation["exam"]),
    ]


def _exam_section(exam: Mapping[str, Any] | None) -> list[str]:
    if exam is None:
        return []
    verdict = exam["verdict"]
    no = "undecided" if verdict["undecided"] else "no"
    return [
        "",
        f"## Exam `{exam['digest']}`",
        "",
        f"{exam['tasks']} tasks, greedy answers, graded by running them; a rung counts only with "
        f"all rungs above it. Better than the base model, with and without help: "
        f"{'yes' if verdict['passed'] else no} ({verdict['reason']}).",
        "",
        *_markdown_table(*ladder_table(exam)),
        "",
        *_markdown_table(*kind_table(exam)),
        *(["", *_markdown_table(*sample_table(exam["pass_at"]))] if exam["pass_at"] else []),
    ]


def _markdown_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    rows = [header, ["---"] * len(header), *lines]
    return [f"| {' | '.join(row)} |" for row in rows]


def _tally(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {count}" for name, count in ordered)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
