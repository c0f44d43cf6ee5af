"""One step of training: precision, micro-batches, a full memory, and a resume without a trace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from vox_assets.training.adapter import layout
from vox_assets.training.plan.spec import TrainingSpec


def silent(line: str) -> None:
    """Discard a progress line."""


def started(spec: TrainingSpec, log: Any = silent) -> Any:
    """Return a trainer of the spec, before its first step."""
    from vox_assets.compute.tokens import load_tokenizer
    from vox_assets.training.plan.preflight import preflight
    from vox_assets.training.program.model import make_model, plan_layout
    from vox_assets.training.program.ranks import Ranks
    from vox_assets.training.program.run_state import Interrupt
    from vox_assets.training.program.stream import training_stream
    from vox_assets.training.program.trainer import Trainer

    spec.work_dir.mkdir(parents=True, exist_ok=True)
    tokenizer, ranks = load_tokenizer(spec.base_path), Ranks()
    mix = pl.read_parquet(spec.mix_path).sort("pair_id")
    train, held_out = (
        preflight(
            mix.filter(split=split).select("pair_id", "messages").iter_rows(),
            tokenizer,
            spec.context,
        )
        for split in ("train", "eval")
    )
    weights = mix.filter(split="train")["weight"].to_numpy()
    blocks, block, steps = training_stream(train, weights, spec)
    model = make_model(spec, ranks)
    plan = plan_layout(spec, model, train, block, tokenizer.pad_token_id, ranks, log)
    return Trainer(spec, model, plan, blocks, steps, held_out, ranks, Interrupt(), log)


def weights(trainer: Any) -> dict[str, Any]:
    return {
        name: parameter.detach().clone()
        for name, parameter in trainer.model.named_parameters()
        if parameter.requires_grad
    }


def test_the_adapter_its_gradient_and_the_optimiser_are_in_float32(spec: TrainingSpec) -> None:
    import torch

    trainer = started(spec)
    trainer._take_step()
    assert {value.dtype for value in weights(trainer).values()} == {torch.float32}
    states = [s for state in trainer._optimiser.state.values() for s in state.values()]
    assert states and {state.dtype for state in states} == {torch.float32}
    # The layers still multiply in the dtype of the base: no activation is in float32.
    down = trainer.model.get_base_model().model.layers[0].mlp.down_proj
    seen = []
    down.lora_A["default"].register_forward_hook(lambda module, given, out: seen.append(out.dtype))
    trainer._backward([trainer._blocks[0]])
    assert set(seen) == {down.base_layer.compute_dtype}


def test_a_second_moment_decays_in_float32_and_not_in_bfloat16() -> None:
    import torch

    def moment(dtype: torch.dtype) -> float:
        parameter = torch.nn.Parameter(torch.zeros(1, dtype=dtype))
        optimiser = torch.optim.AdamW([parameter], lr=1e-4)
        for step in range(200):
            parameter.grad = torch.tensor([1.0 if step == 0 else 0.0], dtype=dtype)
            optimiser.step()
        return float(optimiser.state[parameter]["exp_avg_sq"])

    first = 1 - 0.999
    assert moment(torch.float32) == pytest.approx(first * 0.999**199, rel=1e-3)
    assert moment(torch.bfloat16) == pytest.approx(first, rel=5e-3)


def with_blocks(spec: TrainingSpec, count: int) -> TrainingSpec:
    training = spec.training.model_copy(update={"blocks_per_step": count, "max_steps": 2})
    return replace(spec, training=training)


def test_micro_batches_change_neither_the_tokens_of_a_step_nor_its_gradient(
    spec: TrainingSpec,
) -> None:
    import torch

    gradients, tokens = [], []
    for micro in (5, 2):
        trainer = started(with_blocks(spec, 5))
        trainer.layout.micro = micro
        nll, count = trainer._backward([trainer._blocks[number] for number in range(5)])
        tokens.append((round(nll), count))
        gradients.append(torch.cat([p.grad.flatten() for p in trainer._trained]))
    assert tokens[0] == tokens[1]
    assert (gradients[0] - gradients[1]).norm() < 0.02 * gradients[0].norm()


def test_a_full_memory_halves_the_micro_batch_and_keeps_loss_and_tokens(
    spec: TrainingSpec,
) -> None:
    import torch

    whole = started(with_blocks(spec, 5))
    expected = whole._backward([whole._blocks[number] for number in range(5)])
    lines: list[str] = []
    trainer = started(with_blocks(spec, 5), lines.append)

    def allocate(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        # A device with room for two blocks; the first micro-batch has left gradients behind.
        if len(kwargs["input_ids"]) > 2:
            raise torch.OutOfMemoryError("tried to allocate 2 GiB")

    trainer.model.register_forward_pre_hook(allocate, with_kwargs=True)
    nll, count = trainer._backward([trainer._blocks[number] for number in range(5)])
    assert trainer.layout.micro == 2
    assert count == expected[1] and nll == pytest.approx(expected[0], rel=1e-3)
    got = torch.cat([p.grad.flatten() for p in trainer._trained])
    want = torch.cat([p.grad.flatten() for p in whole._trained])
    assert (got - want).norm() < 0.02 * want.norm()
    assert "memory is full: going on with micro-batches of 2 blocks, packed" in lines


def test_one_block_that_does_not_fit_is_an_error_that_names_the_setting(
    spec: TrainingSpec,
) -> None:
    import torch

    trainer = started(spec)

    def allocate(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        raise torch.OutOfMemoryError("tried to allocate 2 GiB")

    trainer.model.register_forward_pre_hook(allocate, with_kwargs=True)
    with pytest.raises(MemoryError, match=r"256 tokens does not fit .*lower training.block_tokens"):
        trainer._take_step()
    # Gradient checkpointing was tried first.
    assert trainer.layout.micro == 1 and trainer.layout.checkpointing


def test_gradient_checkpointing_gives_the_same_gradient(spec: TrainingSpec) -> None:
    import torch

    from vox_assets.training.program.model import checkpoint_gradients

    gradients = []
    for checkpointing in (False, True):
        trainer = started(spec)
        if checkpointing:
            checkpoint_gradients(trainer.model)
        trainer._backward([trainer._blocks[0]])
        gradients.append(torch.cat([p.grad.flatten() for p in trainer._trained]))
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-3, atol=1e-6)


def test_the_batch_follows_from_the_memory() -> None:
    from transformers import AutoConfig

    from vox_assets.training.program.model import fitting

    # Qwen2.5-1.5B.
    config = AutoConfig.for_model(
        "qwen2", hidden_size=1536, intermediate_size=8960, num_hidden_layers=28
    )
    gib = 2**30
    found = [fitting(config, memory * gib, 2048, 16) for memory in (1, 8, 14, 40, 80, 400)]
    micros = [micro for micro, _ in found]
    assert found[0] == (1, True) and found[-1] == (16, False)
    # Without checkpointing, more memory means more blocks at once.
    plain = [micro for micro, checkpointing in found if not checkpointing]
    assert plain == sorted(plain) and len(set(plain)) > 1 and min(micros) == 1
    # The blocks of a step bound the batch.
    assert fitting(config, 400 * gib, 2048, 3) == (3, False)


def test_a_resumed_run_ends_with_the_weights_of_an_unbroken_run(
    tmp_path: Any, spec: TrainingSpec
) -> None:
    from vox_assets.training.program.run import run
    from vox_assets.training.program.run_state import Interrupt

    unbroken = replace(spec, output_root=str(tmp_path / "unbroken"))
    assert run(unbroken, Interrupt(), silent)["status"] == "complete"
    interrupt = Interrupt()

    def stop_after_two(line: str) -> None:
        if line.startswith("step 2/"):
            interrupt.reason = "test"

    assert run(spec, interrupt, stop_after_two)["steps"] == 3
    assert run(spec, Interrupt(), silent)["resumed_from"] == [3]
    first, second = ((s.adapter_dir / layout.WEIGHTS).read_bytes() for s in (unbroken, spec))
    assert first == second
