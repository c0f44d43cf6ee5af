"""llama.cpp converts an adapter and its base by its own programs, and answers as peft does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.profiles import Profile
from vox_assets.training.adapter import layout
from vox_assets.training.plan.spec import TrainingSpec
from vox_assets_tests.families import FAMILIES, save_tiny_base
from vox_assets_tests.packages import installed, source_of
from vox_assets_tests.small_corpus import shaped, written_spec

pytestmark = pytest.mark.slow

#: The source distribution that contains the converters of llama.cpp.
SOURCE = "llama-cpp-python==0.3.36"
PARTS = ("vendor/llama.cpp/convert_", "vendor/llama.cpp/conversion", "vendor/llama.cpp/gguf-py")
#: The converters import it for any tokenizer.
SENTENCEPIECE = "sentencepiece==0.2.3"
#: A build of llama.cpp as a Python module.
RUNTIME = "xllamacpp==2026.10.11549"
#: Architectures and, where it is not that of SmolLM2, the family of the template. llama.cpp
#: reorders the rows of queries and keys for the rotary embedding of Llama and SmolLM3, and not for
#: that of Qwen 3; the template of SmolLM3 writes the date and a thought.
ARCHITECTURES = {"llama": None, "qwen3": None, "smollm3": "smollm3"}
QUESTION = [{"role": "user", "content": "Write f."}]
CONTEXT = 512
#: Serves requests as llama-server does, and writes the answers as JSON.
SERVE = """
import json, sys, urllib.request
import xllamacpp
asked = json.load(sys.stdin)
params = xllamacpp.CommonParams()
params.model.path = asked["base"]
params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(asked["adapter"], 1.0)]
params.chat_template = open(asked["chat_template"], encoding="utf-8").read()
params.use_jinja = True
params.n_ctx, params.n_parallel, params.warmup = 512, 1, False
params.cpuparams.n_threads = 1
server = xllamacpp.Server(params)
render = urllib.request.Request(
    server.listening_address + "/apply-template",
    json.dumps(asked["chat"]).encode(),
    {"Content-Type": "application/json"},
)
answered = {
    "prompt": json.load(urllib.request.urlopen(render, timeout=60))["prompt"],
    "completion": server.handle_completions(asked["completion"]),
    "chat": server.handle_chat_completions(asked["chat"]),
}
json.dump(answered, open(asked["out"], "w"))
"""


@dataclass
class Converted:
    """A trained adapter with the files that llama.cpp made of it and of its base."""

    spec: TrainingSpec
    base: Path
    folder: Path

    def tensors(self, name: str) -> dict[str, Any]:
        import numpy as np

        return {t.name: np.array(t.data) for t in self.reader(name).tensors}

    def reader(self, name: str) -> Any:
        from gguf import GGUFReader

        return GGUFReader(self.folder / f"{name}.gguf")

    def field(self, name: str, key: str, index: Any = slice(None)) -> Any:
        return self.reader(name).fields[key].contents(index)

    def load_tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.spec.adapter_dir)

    def load_model(self) -> Any:
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        base = AutoModelForCausalLM.from_pretrained(self.base, dtype=torch.float32)
        return PeftModel.from_pretrained(base, self.spec.adapter_dir).eval()


@pytest.fixture(scope="module", params=list(ARCHITECTURES))
def converted(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    package_cache: Path,
    base_model: LocalModel,
    mixed: pl.DataFrame,
    profile: Profile,
) -> Converted:
    """Train on a tiny random model with the tokens of SmolLM2, and convert base and adapter."""
    from transformers import AutoTokenizer

    from vox_assets.training.program.run import run
    from vox_assets.training.program.run_state import Interrupt

    converters = source_of(package_cache, SOURCE, PARTS) / "vendor" / "llama.cpp"
    sentencepiece = installed(package_cache, SENTENCEPIECE)
    architecture = request.param
    folder = tmp_path_factory.mktemp(architecture)
    tokenizer = AutoTokenizer.from_pretrained(base_model.path)
    if (family := ARCHITECTURES[architecture]) is not None:
        tokenizer.chat_template = FAMILIES[family].template
    base = folder / "base"
    save_tiny_base(architecture, tokenizer, CONTEXT, base)
    policy = shaped(
        profile,
        mix={"context": CONTEXT},
        training={"max_steps": 40, "block_tokens": CONTEXT, "eval_every_steps": 99},
    )
    # As long as it takes that rounding does not decide between two tokens of an answer.
    change = {"learning_rate": 0.01, "epochs": 99.0}
    tiers = tuple(tier.model_copy(update=change) for tier in policy.ranks)
    local = LocalModel(name=f"tests/{architecture}", path=base, fingerprint=architecture)
    spec = written_spec(folder, local, mixed, policy.model_copy(update={"ranks": tiers}))
    assert run(spec, Interrupt(), lambda line: None)["status"] == "complete"
    found = Converted(spec, base, folder)
    found.load_model().merge_and_unload().save_pretrained(folder / "merged")
    found.load_tokenizer().save_pretrained(folder / "merged")

    def convert(program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [sys.executable, converters / program, *arguments],
            env={**os.environ, "PYTHONPATH": str(sentencepiece)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-2000:]

    for name in ("base", "merged"):
        out = ("--outtype", "f32", "--outfile", folder / f"{name}.gguf")
        convert("convert_hf_to_gguf.py", *out, folder / name)
    # The command of the model card.
    target = ("--outfile", folder / "adapter.gguf")
    convert("convert_lora_to_gguf.py", "--base", base, *target, spec.adapter_dir)
    return found


def test_the_merged_model_has_every_tensor_the_tokens_and_the_template(
    converted: Converted,
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from vox_assets.compute.tokens import end_of_turn

    merged = AutoModelForCausalLM.from_pretrained(converted.folder / "merged", dtype=torch.float32)
    names = {name for name, _ in merged.named_parameters()}
    tensors = converted.tensors("merged")
    assert len(tensors) == len(names)
    for name, parameter in merged.named_parameters():
        found = [t for n, t in tensors.items() if n == in_gguf(name)]
        assert len(found) == 1 and found[0].size == parameter.numel(), name
    template = (converted.spec.adapter_dir / "chat_template.jinja").read_text()
    assert converted.field("merged", "tokenizer.chat_template") == template
    end = converted.field("merged", "tokenizer.ggml.eos_token_id")
    tokenizer = converted.load_tokenizer()
    assert end == end_of_turn(tokenizer) == tokenizer.eos_token_id
    assert converted.field("merged", "tokenizer.ggml.tokens", end) == "<|im_end|>"


def in_gguf(name: str) -> str:
    """Return the name that llama.cpp gives to a weight of a Llama, Qwen 3 or SmolLM3."""
    parts = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "self_attn.q_norm": "attn_q_norm",
        "self_attn.k_norm": "attn_k_norm",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        "embed_tokens": "token_embd",
        "lm_head": "output",
        "norm": "output_norm",
    }
    words = name.removeprefix("model.").removesuffix(".weight").split(".")
    block = ""
    if words[0] == "layers":
        block, words = f"blk.{words[1]}.", words[2:]
    return f"{block}{parts['.'.join(words)]}.weight"


def test_the_converted_adapter_is_the_change_that_peft_merges(converted: Converted) -> None:
    import numpy as np
    from safetensors.numpy import load_file

    base, merged, adapter = (converted.tensors(name) for name in ("base", "merged", "adapter"))
    alpha = converted.field("adapter", "adapter.lora.alpha")
    ours = load_file(converted.spec.adapter_dir / layout.WEIGHTS)
    assert len(adapter) == len(ours)
    changed = {name for name in base if not np.array_equal(base[name], merged[name])}
    assert {f"{name}.lora_{side}" for name in changed for side in "ab"} == set(adapter)
    for name in changed:
        a, b = adapter[f"{name}.lora_a"], adapter[f"{name}.lora_b"]
        change = merged[name] - base[name]
        assert np.allclose(change, alpha / len(a) * b @ a, atol=1e-6), name
    for name, weight in ours.items():
        module, side = name.removeprefix("base_model.model.").split(".lora_")
        found = adapter[f"{in_gguf(module + '.weight')}.lora_{side[0].lower()}"]
        # Rows of queries and keys may stand in another order; the numbers are ours.
        assert np.array_equal(np.sort(found, axis=0), np.sort(weight, axis=0)), name


def test_llama_cpp_answers_as_peft_does(converted: Converted, package_cache: Path) -> None:
    import torch

    tokenizer, model = converted.load_tokenizer(), converted.load_model()
    text = tokenizer.apply_chat_template(QUESTION, add_generation_prompt=True, tokenize=False)
    prompt = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        adapted = torch.log_softmax(model(**prompt).logits[0, -1].double(), -1)
        with model.disable_adapter():
            base = torch.log_softmax(model(**prompt).logits[0, -1].double(), -1)
        answer = model.generate(**prompt, max_new_tokens=12, do_sample=False)
    length = prompt.input_ids.shape[1]
    found = serve(
        converted,
        package_cache,
        completion={
            "prompt": prompt.input_ids[0].tolist(),
            "max_tokens": 1,
            "logprobs": 8,
            "temperature": 0,
        },
        chat={"messages": QUESTION, "max_tokens": 12, "temperature": 0},
    )
    # The template of the adapter gives llama.cpp the prompt of the training.
    assert found["prompt"] == text
    assert found["chat"]["usage"]["prompt_tokens"] == length
    [token] = found["completion"]["choices"][0]["logprobs"]["content"]
    measured = {top["id"]: top["logprob"] for top in token["top_logprobs"]}
    assert len(measured) == 8
    for index, logprob in measured.items():
        assert logprob == pytest.approx(float(adapted[index]), abs=1e-3)
        assert logprob != pytest.approx(float(base[index]), abs=0.01)
    said = tokenizer.decode(answer[0, length:], skip_special_tokens=True)
    assert found["chat"]["choices"][0]["message"]["content"] == said


def serve(
    converted: Converted, package_cache: Path, **requests: Mapping[str, Sequence[int] | Any]
) -> Any:
    """Let llama.cpp answer requests with the base, the adapter and its chat template."""
    out = converted.folder / "answers.json"
    asked = {
        "base": str(converted.folder / "base.gguf"),
        "adapter": str(converted.folder / "adapter.gguf"),
        "chat_template": str(converted.spec.adapter_dir / "chat_template.jinja"),
        "out": str(out),
        **requests,
    }
    done = subprocess.run(
        [sys.executable, "-c", SERVE],
        input=json.dumps(asked),
        env={**os.environ, "PYTHONPATH": str(installed(package_cache, RUNTIME))},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(out.read_text())
