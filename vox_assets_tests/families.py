"""Builds tokenizers with the chat templates of real model families, and tiny random models.

Most templates are files of TRL, which ships them to recognise a model by its template. The others
are written here in the shape that their model cards publish.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Family:
    """A chat template with its special tokens, and the architecture that it belongs to."""

    architecture: str
    template: str
    end_of_turn: str
    eos: str
    bos: str | None = None
    others: tuple[str, ...] = ()
    #: The tokenizer puts the first token in front of every text.
    adds_bos: bool = False
    refuses_system: bool = False


def _of_trl(name: str) -> str:
    return (files("trl") / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")


MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}"
)
GRANITE = (
    "{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content'] %}"
    "{%- set loop_messages = messages[1:] %}{%- else %}"
    "{%- set system_message = 'Knowledge Cutoff Date: April 2024.\nToday\\'s Date: ' + "
    "strftime_now('%B %d, %Y') + '.\nYou are Granite, developed by IBM.' %}"
    "{%- set loop_messages = messages %}{%- endif %}"
    "{{- '<|start_of_role|>system<|end_of_role|>' + system_message + '<|end_of_text|>\n' }}"
    "{%- for message in loop_messages %}{{- '<|start_of_role|>' + message['role'] + "
    "'<|end_of_role|>' + message['content'] + '<|end_of_text|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_of_role|>assistant<|end_of_role|>' }}{%- endif %}"
)
SMOLLM3 = (
    "{%- set today = strftime_now('%d %B %Y') -%}"
    "{%- set thinks = enable_thinking if enable_thinking is defined else true -%}"
    "{{ '<|im_start|>system\n## Metadata\n\nKnowledge Cutoff Date: June 2025\n"
    "Today Date: ' + today + '\nReasoning Mode: ' + ('/think' if thinks else '/no_think') "
    "+ '<|im_end|>\n' }}"
    "{%- for message in messages -%}{%- if message.role == 'user' -%}"
    "{{ '<|im_start|>user\n' + message.content + '<|im_end|>\n' }}{%- else -%}"
    "{%- if thinks -%}{{ '<|im_start|>assistant\n' + message.content.lstrip('\n') "
    "+ '<|im_end|>\n' }}"
    "{%- else -%}{{ '<|im_start|>assistant\n<think>\n\n</think>\n' + message.content.lstrip('\n') "
    "+ '<|im_end|>\n' }}{%- endif -%}{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{%- if thinks -%}{{ '<|im_start|>assistant\n' }}{%- else -%}"
    "{{ '<|im_start|>assistant\n<think>\n\n</think>\n' }}{%- endif -%}{%- endif -%}"
)
#: DeepSeek Coder and V2. The templates of R1 open a thought in front of every answer.
DEEPSEEK = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ 'User: ' + message['content'] + '\n\n' }}{% elif message['role'] == 'assistant' %}"
    "{{ 'Assistant: ' + message['content'] + eos_token }}{% else %}"
    "{{ message['content'] + '\n\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
#: Models of EleutherAI have no template; StableLM, a GPT-NeoX, has this one.
STABLELM = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] "
    "+ eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)

CHATML_TOKENS = ("<|im_start|>", "<|im_end|>")
GEMMA_TOKENS = ("<start_of_turn>", "<end_of_turn>")
LLAMA_TOKENS = ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
LLAMA_BOS, LLAMA_EOS = "<|begin_of_text|>", "<|end_of_text|>"

FAMILIES = {
    # The first releases of Llama 3 have this `eos_token`, which ends no turn.
    "llama3": Family(
        "llama", _of_trl("llama3"), "<|eot_id|>", LLAMA_EOS, LLAMA_BOS, LLAMA_TOKENS, adds_bos=True
    ),
    "llama3_2": Family(
        "llama", _of_trl("llama3_2"), "<|eot_id|>", "<|eot_id|>", LLAMA_BOS, LLAMA_TOKENS
    ),
    # The base models of Qwen 2.5 have the template of the tuned ones and this `eos_token`.
    "qwen2_5": Family(
        "qwen2", _of_trl("qwen2_5"), "<|im_end|>", "<|endoftext|>", others=CHATML_TOKENS
    ),
    "qwen3": Family("qwen3", _of_trl("qwen3"), "<|im_end|>", "<|im_end|>", others=CHATML_TOKENS),
    "mistral": Family(
        "mistral", MISTRAL, "</s>", "</s>", "<s>", adds_bos=True, refuses_system=True
    ),
    "gemma2": Family(
        "gemma2",
        _of_trl("gemma"),
        "<end_of_turn>",
        "<eos>",
        "<bos>",
        GEMMA_TOKENS,
        adds_bos=True,
        refuses_system=True,
    ),
    "gemma3": Family(
        "gemma3_text", _of_trl("gemma3"), "<end_of_turn>", "<eos>", "<bos>", GEMMA_TOKENS, True
    ),
    "phi3": Family(
        "phi3",
        _of_trl("phi3"),
        "<|end|>",
        "<|endoftext|>",
        others=("<|user|>", "<|assistant|>", "<|system|>", "<|end|>"),
    ),
    "granite": Family(
        "granite",
        GRANITE,
        "<|end_of_text|>",
        "<|end_of_text|>",
        others=("<|start_of_role|>", "<|end_of_role|>"),
    ),
    "deepseek": Family(
        "deepseek_v2",
        DEEPSEEK,
        "<\uff5cend\u2581of\u2581sentence\uff5c>",
        "<\uff5cend\u2581of\u2581sentence\uff5c>",
        "<\uff5cbegin\u2581of\u2581sentence\uff5c>",
    ),
    "gpt_neox": Family("gpt_neox", STABLELM, "<|endoftext|>", "<|endoftext|>"),
    "smollm3": Family("smollm3", SMOLLM3, "<|im_end|>", "<|im_end|>", others=CHATML_TOKENS),
}


def make_tokenizer(family: Family) -> Any:
    """Build a tokenizer of bytes with the special tokens and the template of a family."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import AddedToken, PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    named = (family.bos, family.eos, family.end_of_turn, *family.others)
    special = list(dict.fromkeys(token for token in named if token))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=family.bos, eos_token=family.eos
    )
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    if family.adds_bos:
        bos = (family.bos, tokenizer.bos_token_id)
        tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{family.bos} $A", special_tokens=[bos]
        )
    tokenizer.chat_template = family.template
    return tokenizer


@cache
def tokenizer_of(name: str) -> Any:
    """Return the tokenizer of a family of FAMILIES as `load_tokenizer` would."""
    from vox_assets.compute.tokens import pin_template, stop_tokens

    tokenizer = make_tokenizer(FAMILIES[name])
    pin_template(tokenizer)
    tokenizer.pad_token_id = stop_tokens(tokenizer)[-1]
    return tokenizer


def save_tiny_base(architecture: str, tokenizer: Any, context: int, folder: Path) -> None:
    """Write a random model with the tokenizer's tokens, and the tokenizer, as a base."""
    import torch

    ids = ("bos_token_id", "eos_token_id", "pad_token_id")
    model = tiny_model(
        architecture,
        vocab_size=len(tokenizer),
        hidden_size=64,
        max_position_embeddings=2 * context,
        **{name: getattr(tokenizer, name) for name in ids},
    )
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def tiny_model(architecture: str, **changes: Any) -> Any:
    """Build a random model of two layers with the configuration of an architecture."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes: dict[str, Any] = {
        "vocab_size": 96,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": 64,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    transforms: dict[str, dict[str, Any]] = {
        "gemma2": {"final_logit_softcapping": 5.0},
        "granite": {"logits_scaling": 8.0},
        "cohere": {"logit_scale": 0.0625},
        "opt": {"word_embed_proj_dim": 16, "ffn_dim": 64},
        "recurrent_gemma": {
            "logits_soft_cap": 5.0,
            "num_hidden_layers": 3,
            "lru_width": 32,
            "attention_window_size": 16,
        },
        "modernbert-decoder": {"decoder_bias": False, "cls_token_id": 1, "sep_token_id": 2},
        "inkling_text": {"unpadded_vocab_size": 80, "logits_mup_width_multiplier": 8.0},
        "hyperclovax": {"logits_scaling": 0.2},
        "mamba": {"state_size": 4},
        "deepseek_v2": {
            "q_lora_rank": 16,
            "kv_lora_rank": 16,
            "qk_nope_head_dim": 16,
            "qk_rope_head_dim": 16,
            "v_head_dim": 16,
            "n_routed_experts": 4,
            "n_shared_experts": 1,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "first_k_dense_replace": 1,
            "n_group": 1,
            "topk_group": 1,
        },
        "lfm2": {"layer_types": ["conv", "full_attention"]},
        "falcon_h1": {
            "mamba_d_ssm": 64,
            "mamba_n_heads": 4,
            "mamba_d_head": 16,
            "mamba_d_state": 8,
        },
        "qwen3_next": {
            "layer_types": ["linear_attention", "full_attention"],
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 2,
            "linear_key_head_dim": 16,
            "linear_value_head_dim": 16,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "shared_expert_intermediate_size": 32,
        },
    }
    if architecture == "gpt2":
        sizes = {k: sizes[k] for k in ("vocab_size", "bos_token_id", "eos_token_id")}
        sizes |= {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}
    if architecture == "falcon":
        del sizes["head_dim"]
    torch.manual_seed(7)
    config = AutoConfig.for_model(
        architecture, **sizes | transforms.get(architecture, {}) | changes
    )
    return AutoModelForCausalLM.from_config(config).float().eval()
