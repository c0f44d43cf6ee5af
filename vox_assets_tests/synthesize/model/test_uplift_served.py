"""Uplift against a real server: `transformers serve` with the packaged model behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from vox_assets.compute.models import LocalModel, RemoteModel
from vox_assets.contract import rows as schema
from vox_assets.endpoint.client import Endpoint
from vox_assets.endpoint.wire import Patience
from vox_assets.profiles import Budget, Profile
from vox_assets.profiles import Uplift as Policy
from vox_assets.store.cache import BlobCache
from vox_assets.synthesize.model.uplift import uplift
from vox_assets.synthesize.vox.programs import Gate
from vox_assets_tests.model_server import serve_model


@pytest.fixture(scope="module")
def served(base_model: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve the packaged model and yield the base URL."""
    with serve_model(base_model.path, tmp_path_factory.mktemp("serve") / "log") as url:
        yield url


@pytest.mark.slow
def test_each_answer_of_a_real_server_becomes_a_row_or_a_drop(
    served: str,
    base_model: LocalModel,
    rust_rows: pl.DataFrame,
    doc_rows: pl.DataFrame,
    profile: Profile,
    gate: Gate,
    tmp_path: Path,
) -> None:
    policy = Policy(
        questions=6,
        answer_tokens=160,
        budget=Budget(requests=12, tokens=100_000, concurrency=2),
    )
    lines: list[str] = []

    def run():  # type: ignore[no-untyped-def]
        return uplift(
            rust_rows,
            doc_rows,
            schema.to_frame([]),
            profile.model_copy(update={"uplift": policy}),
            Endpoint(
                RemoteModel(served, str(base_model.path)),
                BlobCache(tmp_path / "endpoint.sqlite"),
                Patience(timeout=400.0),
            ),
            check_vox=gate,
            log=lines.append,
        )

    first = run()
    reasons = first.drops["reason"].to_list()
    print(*reasons, *first.rows["response"], *lines, sep="\n")
    assert first.usage.requests == 6
    assert first.usage.tokens > 6 * 100
    assert len(reasons) + first.rows.height == 6
    assert not [reason for reason in reasons if reason.startswith(("not asked", "no answer"))]
    for row in first.rows.filter(language="vox").iter_rows(named=True):
        assert gate(row["response"]) is None
    second = run()
    assert (second.usage.from_store, second.usage.requests) == (6, 0)
    assert second.rows.equals(first.rows)
    assert second.drops.equals(first.drops)
