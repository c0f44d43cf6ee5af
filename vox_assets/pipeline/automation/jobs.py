"""The jobs: everything, the corpus or the adapter alone, and what depends on one source."""

from __future__ import annotations

import dagster as dg

from vox_assets.pipeline.adapter import adapter_eval, qlora_adapter
from vox_assets.pipeline.records import corpus_card, row_ledger

#: On demand alone, one run per arm: no rebuild trains them.
_ABLATION = dg.AssetSelection.assets("ablation")
_ALL = dg.AssetSelection.all() - _ABLATION

rebuild = dg.define_asset_job(
    "rebuild",
    selection=_ALL,
    description="Everything, from the source tree to the evaluated adapter.",
)

corpus = dg.define_asset_job(
    "corpus",
    selection=dg.AssetSelection.assets(row_ledger, corpus_card).upstream(),
    description="The corpus, its exports and its ledger; nothing is trained.",
)

retrain = dg.define_asset_job(
    "retrain",
    selection=dg.AssetSelection.assets(qlora_adapter, adapter_eval),
    description="An adapter of the corpus as it is, with the rank of the policy table or, in the "
    "run's config, another one; refused when the corpus failed its checks.",
)

evaluate = dg.define_asset_job(
    "evaluate",
    selection=dg.AssetSelection.assets(adapter_eval),
    description="The adapter as it is against its base, once more.",
)

#: Source asset -> the job that rebuilds what depends on it.
REBUILD_OF = {
    source: dg.define_asset_job(
        f"rebuild_after_{source}",
        selection=dg.AssetSelection.assets(source).downstream(include_self=False) - _ABLATION,
        description=f"Everything that depends on `{source}`, through the blocking checks.",
    )
    for source in ("crates", "docs")
}

ablate = dg.define_asset_job(
    "ablate",
    selection=_ABLATION,
    description="One arm of the ablation per partition, at equal tokens and seed.",
)

JOBS = [rebuild, corpus, retrain, evaluate, ablate, *REBUILD_OF.values()]
