"""Every model family is trained, from its rows to an adapter that plain peft loads and merges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from vox_assets.compute.models import LocalModel
from vox_assets.profiles import Profile
from vox_assets.training.adapter import layout, manifest, verify
from vox_assets.training.plan.spec import TrainingSpec
from vox_assets_tests.families import FAMILIES, save_tiny_base, tokenizer_of
from vox_assets_tests.small_corpus import shaped, written_spec

#: One family of each kind of template and attention; the others run with the slow tests.
FAST = ("llama3", "gemma3")
NAMES = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES]
#: The rows of the small corpus, in bytes.
CONTEXT = 768


def silent(line: str) -> None:
    """Discard a progress line."""


@dataclass
class Trained:
    """A trained adapter with its base model."""

    spec: TrainingSpec
    base: Path
    again: Callable[[str], TrainingSpec]


@pytest.fixture(scope="module", params=NAMES)
def family(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    mixed: pl.DataFrame,
    profile: Profile,
) -> Trained:
    """Train four steps on a tiny random model of the family."""

    from vox_assets.training.program.run import run
    from vox_assets.training.program.run_state import Interrupt

    name = request.param
    folder = tmp_path_factory.mktemp(name)
    tokenizer = tokenizer_of(name)
    base = folder / "base"
    save_tiny_base(FAMILIES[name].architecture, tokenizer, CONTEXT, base)
    policy = shaped(
        profile,
        mix={"context": CONTEXT},
        training={"max_steps": 4, "block_tokens": CONTEXT, "eval_every_steps": 1},
    )
    tiers = tuple(tier.model_copy(update={"learning_rate": 0.01}) for tier in policy.ranks)
    policy = policy.model_copy(update={"ranks": tiers})
    local = LocalModel(name=f"tests/{name}", path=base, fingerprint=name)

    def again(where: str) -> TrainingSpec:
        (folder / where).mkdir()
        return written_spec(folder / where, local, mixed, policy)

    spec = again("first")
    assert run(spec, Interrupt(), silent)["status"] == "complete"
    return Trained(spec, base, again)


def losses(trained: Trained) -> dict[int, float]:
    """Return the loss on the watched rows by step."""
    lines = manifest.read_curve(trained.spec.adapter_dir)
    return {line["step"]: line["watched_nll"] for line in lines if "watched_nll" in line}


def test_the_untrained_loss_is_that_of_the_model_itself(family: Trained) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from vox_assets.compute.models import preferred_dtype
    from vox_assets.compute.nll import evaluating
    from vox_assets.compute.tokens import load_tokenizer
    from vox_assets.mix.split import watch_ids
    from vox_assets.training.adapter.assemble import quantisation
    from vox_assets.training.plan.preflight import preflight
    from vox_assets.training.program.stream import watched_rows

    dtype = getattr(torch, preferred_dtype())
    model = AutoModelForCausalLM.from_pretrained(
        family.base, dtype=dtype, quantization_config=quantisation(dtype)
    )
    mix = pl.read_parquet(family.spec.mix_path).sort("pair_id")
    dialogues = mix.filter(split="eval").select("pair_id", "messages").iter_rows()
    rows = preflight(dialogues, load_tokenizer(family.base), CONTEXT)
    total = tokens = 0.0
    with evaluating(model), torch.no_grad():
        for row in watched_rows(rows, watch_ids(mix)):
            ids, labels = (
                torch.tensor([part], device=model.device) for part in (row.input_ids, row.labels)
            )
            total += float(model(input_ids=ids, labels=labels).loss) * row.answer_tokens
            tokens += row.answer_tokens
    assert losses(family)[0] == pytest.approx(total / tokens, rel=2e-3)


def test_each_step_lowers_the_loss(family: Trained) -> None:
    found = losses(family)
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert found[1] < found[0] and found[4] < found[1]


def test_the_adapter_is_whole_and_its_files_do_not_depend_on_the_day(family: Trained) -> None:
    directory = family.spec.adapter_dir
    assert verify.verify(directory) == []
    assert "strftime_now(format)" in (directory / "chat_template.jinja").read_text() or (
        "strftime_now" not in (directory / "chat_template.jinja").read_text()
    )


def test_plain_peft_loads_and_merges_it_and_both_generate_the_same(family: Trained) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    directory = family.spec.adapter_dir
    base = AutoModelForCausalLM.from_pretrained(family.base, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = PeftModel.from_pretrained(base, directory).eval()
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Write f."}],
        add_generation_prompt=True,
        return_tensors="pt",
    )
    with torch.no_grad():
        adapted = model(**prompt).logits
        with model.disable_adapter():
            assert not torch.allclose(model(**prompt).logits, adapted, atol=1e-3)
        answer = model.generate(**prompt, max_new_tokens=8, do_sample=False)
        merged = model.merge_and_unload()
        assert torch.allclose(merged(**prompt).logits, adapted, atol=1e-3)
        again = merged.generate(**prompt, max_new_tokens=8, do_sample=False)
    assert answer.tolist() == again.tolist()


def test_a_resume_ends_with_the_weights_of_an_unbroken_run(family: Trained) -> None:
    from vox_assets.training.program.run import run
    from vox_assets.training.program.run_state import Interrupt

    spec, interrupt = family.again("resumed"), Interrupt()

    def stop_after_one(line: str) -> None:
        if line.startswith("step 1/"):
            interrupt.reason = "test"

    assert run(spec, interrupt, stop_after_one)["steps"] == 2
    assert run(spec, Interrupt(), silent)["resumed_from"] == [2]
    unbroken, resumed = ((s.adapter_dir / layout.WEIGHTS).read_bytes() for s in (family.spec, spec))
    assert unbroken == resumed
    curves = [
        [(line["step"], line.get("loss")) for line in manifest.read_curve(s.adapter_dir)]
        for s in (family.spec, spec)
    ]
    assert curves[0] == curves[1]
