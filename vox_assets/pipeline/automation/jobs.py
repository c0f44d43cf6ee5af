"""Jobs that build everything, the corpus, the adapter, or the dependents of one source."""

from __future__ import annotations

import dagster as dg

from vox_assets.pipeline.adapter import adapter_eval, qlora_adapter
from vox_assets.pipeline.automation.history import SOURCES
from vox_assets.pipeline.exam import exam_answers, exam_tasks
from vox_assets.pipeline.records import corpus_card, row_ledger

#: Only the job `ablate` trains the arms, one run per arm; no rebuild includes them.
_ABLATION = dg.AssetSelection.assets("ablation")
_ALL = dg.AssetSelection.all() - _ABLATION

rebuild = dg.define_asset_job(
    "rebuild",
    selection=_ALL,
    description="Builds everything, from the source tree to the evaluated adapter.",
)

corpus = dg.define_asset_job(
    "corpus",
    selection=dg.AssetSelection.assets(row_ledger, corpus_card).upstream(),
    description="Builds the corpus, its exports and its ledger. Trains nothing.",
)

retrain = dg.define_asset_job(
    "retrain",
    selection=dg.AssetSelection.assets(qlora_adapter, exam_answers, adapter_eval),
    description="Trains and evaluates an adapter on the existing corpus, with the rank of the rank "
    "table or of the run config. Fails when the corpus failed a blocking check.",
)

evaluate = dg.define_asset_job(
    "evaluate",
    selection=dg.AssetSelection.assets(exam_tasks, exam_answers, adapter_eval),
    description="Draws the exam and evaluates the existing adapter against its base model again.",
)

#: Maps a source asset to the job that rebuilds everything that depends on it.
REBUILD_OF = {
    source: dg.define_asset_job(
        f"rebuild_after_{source}",
        selection=dg.AssetSelection.assets(source).downstream(include_self=False) - _ABLATION,
        description=f"Builds everything that depends on `{source}`, with the blocking checks.",
    )
    for source in SOURCES
}

ablate = dg.define_asset_job(
    "ablate",
    selection=_ABLATION,
    description="Trains one arm of the ablation per partition, with equal tokens and seed.",
)

JOBS = [rebuild, corpus, retrain, evaluate, ablate, *REBUILD_OF.values()]
