"""The page of every resource in the UI has a type, a text and values, and shows no secret."""

from __future__ import annotations

from contextlib import nullcontext

import dagster as dg
import pytest
from dagster._config.pythonic_config.resource import get_resource_type_name

from vox_assets.pipeline.resources.described import resource_definitions
from vox_assets.pipeline.wiring import build_defs
from vox_assets.settings import Settings, load_settings
from vox_assets.store.lake import Lake

SECRET = "k3y-of-the-endpoint"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load_settings(
        {
            "VOX_DATA_DIR": str(tmp_path_factory.mktemp("data")),
            "VOX_LLM_BASE_URL": "http://127.0.0.1:9/v1",
            "VOX_LLM_MODEL": "writer",
            "VOX_LLM_API_KEY": SECRET,
            "VOX_ALERT_URLS": f"json://user:{SECRET}@127.0.0.1:9/hook",
            "VOX_LAKE_URL": f"s3://{SECRET}@bucket/prefix",
        }
    )


def shown(definition: dg.ResourceDefinition) -> str:
    return definition.config_schema.default_value_as_json_str


def test_every_resource_of_the_code_location_is_described(settings: Settings) -> None:
    defs = build_defs(resource_overrides={"settings": settings})
    resources = defs.resolve_all_job_defs()[0].resource_defs
    for name in resource_definitions(settings, lambda _: nullcontext()):
        assert resources[name].description, name
        assert "lambda" not in get_resource_type_name(resources[name]), name


def test_a_resource_shows_what_it_was_made_of(settings: Settings) -> None:
    resources = resource_definitions(settings, lambda _: nullcontext())
    assert get_resource_type_name(resources["settings"]) == "vox_assets.settings.Settings"
    assert "writer at http://127.0.0.1:9/v1" in shown(resources["models"])
    assert "SmolLM2-135M-Instruct (packaged)" in shown(resources["models"])
    assert str(settings.data_dir) in shown(resources["io_manager"])
    assert '"channels": "1"' in shown(resources["notifier"])


def test_no_resource_shows_a_key_or_a_token(settings: Settings) -> None:
    for name, definition in resource_definitions(settings, lambda _: nullcontext()).items():
        assert SECRET not in shown(definition), name


def lake_root(settings: Settings, config: dict[str, object]) -> dg.ExecuteInProcessResult:
    """Run a job that reads the root of the resource `lake`."""

    @dg.op
    def read(lake: dg.ResourceParam[Lake]) -> str:
        return lake.root

    @dg.job(resource_defs={"lake": resource_definitions(settings, lambda _: nullcontext())["lake"]})
    def reads() -> None:
        read()

    return reads.execute_in_process(run_config=config, raise_on_error=False)


def test_a_described_resource_provides_the_object(settings: Settings) -> None:
    assert lake_root(settings, {}).output_for_node("read") == settings.lake_uri


def test_a_run_cannot_replace_a_shown_value(settings: Settings) -> None:
    replaced = lake_root(settings, {"resources": {"lake": {"config": {"root": "/elsewhere"}}}})
    assert not replaced.success
    [message] = [
        event.job_failure_data.error.message + str(event.job_failure_data.error.cause)
        for event in replaced.all_events
        if event.is_job_failure
    ]
    assert "a run cannot replace" in message or "environment variable" in message
