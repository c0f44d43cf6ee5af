"""Checks of the adapter and of its evaluation."""

import dagster as dg
import polars as pl

from vox_assets.contract.rows import CORPUS_TABLES
from vox_assets.contract.verdict import Verdict
from vox_assets.pipeline.check_result import report
from vox_assets.pipeline.resources.model_set import Models
from vox_assets.settings import Settings
from vox_assets.store.lake import Lake
from vox_assets.training.adapter.manifest import read_manifest
from vox_assets.training.adapter.verify import check_loads, verify
from vox_assets.training.plan.spec import rows_digest


@dg.asset_check(asset="qlora_adapter")
def adapter_loads(
    settings: dg.ResourceParam[Settings],
    models: dg.ResourceParam[Models],
    qlora_adapter: pl.DataFrame,
) -> dg.AssetCheckResult:
    """Plain peft loads the adapter onto its base, with every tensor in its place."""
    directory = settings.adapters_dir / qlora_adapter["digest"].item()
    return report(Verdict.none_of(check_loads(directory, models.base.path), "faults", 1))


@dg.asset_check(asset="qlora_adapter", additional_ins={"training_mix": dg.AssetIn("training_mix")})
def provenance(
    settings: dg.ResourceParam[Settings],
    lake: dg.ResourceParam[Lake],
    qlora_adapter: pl.DataFrame,
    training_mix: pl.DataFrame,
) -> dg.AssetCheckResult:
    """The manifest's digests hold, and it is of the corpus that the lake has now."""
    directory = settings.adapters_dir / qlora_adapter["digest"].item()
    expected = {
        "rows_digest": rows_digest(training_mix),
        "table_versions": {name: lake.version(name) for name in CORPUS_TABLES},
    }
    return report(Verdict.none_of(verify(directory, expected), "faults", 1))


def _verdict(name: str, description: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset="adapter_eval",
        name=name,
        description=description,
        additional_ins={"qlora_adapter": dg.AssetIn("qlora_adapter")},
    )
    def check(
        settings: dg.ResourceParam[Settings], qlora_adapter: pl.DataFrame
    ) -> dg.AssetCheckResult:
        digest = qlora_adapter["digest"].item()
        evaluation = read_manifest(settings.adapters_dir / digest)["evaluation"]
        if evaluation is None:
            return report(Verdict(False, f"adapter {digest} is not evaluated"))
        [found] = [one for one in evaluation["verdicts"] if one["name"] == name]
        return report(Verdict(found["passed"], found["reason"], found["figures"]))

    return check


CHECKS = [
    adapter_loads,
    provenance,
    _verdict("beats_base", "Held-out loss is below the base model's, with confidence."),
    _verdict("not_overfit", "What was learned on training rows carries over to held-out rows."),
    _verdict("no_forgetting", "Loss on lanes that were not trained has not risen far."),
    _verdict("lane_discipline", "Code prompts are answered with code that parses, and no prose."),
]
