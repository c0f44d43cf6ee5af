"""Settings come from the environment, and the error for a wrong value names the setting."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from vox_assets import profiles
from vox_assets.compute.ray_data import RayData
from vox_assets.extract import SourceError
from vox_assets.pipeline.resources.engine import engine
from vox_assets.settings import SAMPLE_WORKSPACE, VARIABLES, SettingsError, load_settings
from vox_assets_tests.vox_syntax.vox_on_disk import install


def test_the_bundled_workspace_and_its_profile_are_the_default() -> None:
    settings = load_settings({})
    assert settings.source_dir == SAMPLE_WORKSPACE.resolve()
    assert settings.profile.name == "sample"


def test_the_default_profile_of_another_source_tree_is_vox(tmp_path: Path) -> None:
    assert load_settings({"VOX_SOURCE_DIR": str(tmp_path)}).profile.name == "vox"


def test_settings_load_in_a_folder_without_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings({})
    assert settings.profile.name == "vox"
    with pytest.raises(
        SourceError, match=r"^VOX_SOURCE_DIR: .* expected a root that holds crates/"
    ):
        _ = settings.source_roots


def test_a_blank_variable_counts_as_unset(tmp_path: Path) -> None:
    settings = load_settings({"VOX_PROFILE": " ", "VOX_DATA_DIR": str(tmp_path / "out")})
    assert settings.profile.name == "sample"
    assert settings.lake_uri == str(tmp_path / "out" / "lake")


def test_the_lake_may_be_an_object_store() -> None:
    assert load_settings({"VOX_LAKE_URL": "s3://vox/lake/"}).lake_uri == "s3://vox/lake"


@pytest.mark.parametrize("address", ["auto", "head.example:6379", "[::1]:6379"])
def test_the_ray_address_selects_a_cluster(address: str) -> None:
    assert load_settings({}).ray_address is None
    settings = load_settings({"RAY_ADDRESS": address})
    assert settings.ray_address == address
    assert engine(settings) == RayData(address)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("VOX_SOURCE_DIR", "/nonexistent/place", "crates/ and docs/src/"),
        ("VOX_DATA_DIR", __file__, "expected a directory"),
        ("VOX_PROFILE", "nonesuch", "expected one of"),
        ("VOX_FRONTEND", "/nonexistent/vox", "was not found: expected the path of a vox"),
        ("VOX_FRONTEND", __file__, "not executable: expected the path of a vox"),
        ("VOX_ALERT_URLS", "json://ok.example, hunter2", "entry 2 has no scheme"),
        ("VOX_ALERT_URLS", "json://ok.example jsn://hunter2", "entry 2 is not a URL of a service"),
        ("VOX_ALERT_URLS", "json:/ok.example/hunter2", "entry 1 has no scheme"),
        ("VOX_ALERT_URLS", "://hunter2", "entry 1 has no scheme"),
        ("VOX_ALERT_URLS", "https://host.example/hunter2", "entry 1 is not a URL of a service"),
        ("VOX_ALERT_URLS", "json://", "lacks a part such as a host or a token"),
        ("VOX_ALERT_URLS", "slack://hunter2", "lacks a part such as a host or a token"),
        ("VOX_UI_URL", "ui.example", "not an http or https URL"),
        ("VOX_UI_URL", "http://ui.example:port", "not an http or https URL"),
        ("VOX_HEARTBEAT_URL", "hc.example/ping/hunter2", "not an http or https URL"),
        ("VOX_HEARTBEAT_URL", "https://me:hunter2@hc.example/ping", "not an http or https URL"),
        ("VOX_HEARTBEAT_URL", "https://hc.example/ping?key=hunter2", "a query or a fragment"),
        ("VOX_HEARTBEAT_URL", "https://hc.example/ping/hunter2 x", "not an http or https URL"),
        ("VOX_LAKE_URL", "ftp://host/lake", "expected an object store"),
        ("VOX_LAKE_URL", "/srv/lake", "unset it for VOX_DATA_DIR"),
        ("VOX_TIMEZONE", "Mars/Olympus", "IANA name"),
        ("RAY_ADDRESS", "local", "unset it to run on this machine"),
        ("RAY_ADDRESS", "head.example", "host:port"),
        ("RAY_ADDRESS", "head.example:gcs", "host:port"),
        ("RAY_ADDRESS", "http://head.example:8265", "host:port"),
        ("RAY_ADDRESS", "ray://head.example:10001", "does not run over ray://"),
        ("RAY_ADDRESS", "me@head.example:6379", "host:port"),
        ("RAY_ADDRESS", "head.example:6379/x", "host:port"),
        ("VOX_LLM_BASE_URL", "llm.example/v1", "not an http or https URL"),
        ("VOX_LLM_BASE_URL", "ftp://llm.example/v1", "not an http or https URL"),
        ("VOX_LLM_BASE_URL", "http:///v1", "not an http or https URL"),
        ("VOX_LLM_BASE_URL", "http://llm.example:port/v1", "not an http or https URL"),
        ("VOX_LLM_BASE_URL", "http://[::1/v1", "not an http or https URL"),
        ("VOX_LLM_BASE_URL", "http://llm .example/v1", "not an http or https URL"),
        ("VOX_LLM_BASE_URL", "https://me:hunter2@llm.example/v1", "VOX_LLM_API_KEY"),
        ("VOX_LLM_BASE_URL", "https://llm.example/v1?key=hunter2", "VOX_LLM_API_KEY"),
    ],
)
def test_the_error_for_a_wrong_value_is_one_line_that_names_the_setting(
    variable: str, value: str, expected: str
) -> None:
    with pytest.raises(SettingsError, match=expected) as error_info:
        load_settings({variable: value})
    assert str(error_info.value).startswith(variable)
    assert "\n" not in str(error_info.value)


@pytest.mark.parametrize("url", ["hunter2", "jsn://hunter2", "slack://hunter2", "hunter2:x"])
def test_the_error_for_an_alert_url_does_not_contain_the_url(url: str) -> None:
    with pytest.raises(SettingsError) as error_info:
        load_settings({"VOX_ALERT_URLS": url})
    assert "hunter2" not in str(error_info.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("VOX_SOURCEDIR", "VOX_SOURCE_DIR"),
        ("VOX_SOURCE", "VOX_SOURCE_DIR"),
        ("VOX_SOURCE_DIRECTORY", "VOX_SOURCE_DIR"),
        ("VOXDATA_DIR", "VOX_DATA_DIR"),
        ("vox_data_dir", "VOX_DATA_DIR"),
        ("VOX_DTAA_DIR", "VOX_DATA_DIR"),
        ("VOX_PROFLE", "VOX_PROFILE"),
        ("VOX_ALERT_URL", "VOX_ALERT_URLS"),
        ("VOX_LLM_URL", "VOX_LLM_BASE_URL"),
        ("VOX_LLM_KEY", "VOX_LLM_API_KEY"),
        ("VOX_LLM_MODLE", "VOX_LLM_MODEL"),
        ("VOX_TIME_ZONE", "VOX_TIMEZONE"),
        ("VOX_LAKE_URI", "VOX_LAKE_URL"),
        ("VOX_FRONT_END", "VOX_FRONTEND"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_name_that_was_meant(name: str, meant: str) -> None:
    with pytest.raises(SettingsError) as error_info:
        load_settings({name: "hunter2"})
    assert str(error_info.value) == f"{name}: no such setting: did you mean {meant}?"


def test_the_settings_and_the_variables_of_other_programs_are_no_misspellings() -> None:
    assert load_settings(dict.fromkeys(VARIABLES, "")).profile.name == "sample"
    # Variables of the Vox compiler, of the tests, and of other programs.
    others = "VOX_API_KEY VOX_API_URL VOX_MODEL VOX_CACHE_DIR VOX_STATE_DIR VOX_GEMINI_MODEL "
    others += "VOX_GATE_PROFILE VOX_REAL_DIR VOX_SYNTAX_DIR VOXEL_SIZE VOX PATH HOME SOURCE_DIR"
    assert load_settings(dict.fromkeys(others.split(), "x")).profile.name == "sample"


def test_the_compiler_is_configured_or_searched_in_the_path(tmp_path: Path) -> None:
    program = install(tmp_path)
    path = {"PATH": str(tmp_path)}
    assert load_settings({"VOX_FRONTEND": str(program)}).compiler == program
    assert load_settings(path).compiler == program
    assert load_settings({**path, "VOX_FRONTEND": "vox"}).compiler == program
    assert load_settings({**path, "VOX_FRONTEND": "builtin"}).compiler is None
    assert load_settings({"PATH": str(tmp_path / "elsewhere")}).compiler is None


ENDPOINT = {
    "VOX_LLM_BASE_URL": "https://llm.example/v1/",
    "VOX_LLM_MODEL": "some/model",
    "VOX_LLM_API_KEY": "vk-0a1b2c",
}


def test_the_settings_of_an_endpoint_do_not_show_its_key() -> None:
    settings = load_settings(ENDPOINT)
    remote = settings.language_model
    assert remote is not None
    assert (remote.base_url, remote.name) == ("https://llm.example/v1", "some/model")
    assert remote.api_key == "vk-0a1b2c"
    assert "vk-0a1b2c" not in repr(settings)


def test_without_an_address_there_is_no_language_model() -> None:
    assert load_settings({**ENDPOINT, "VOX_LLM_BASE_URL": ""}).language_model is None


def test_the_error_for_an_endpoint_without_a_model_names_the_setting() -> None:
    with pytest.raises(SettingsError, match=r"^VOX_LLM_MODEL: is not set"):
        load_settings({**ENDPOINT, "VOX_LLM_MODEL": " "})


def test_the_key_of_an_endpoint_is_optional() -> None:
    remote = load_settings({**ENDPOINT, "VOX_LLM_API_KEY": ""}).language_model
    assert remote is not None
    assert remote.api_key is None


@pytest.mark.parametrize("key", ["hunter2 hunter3", "hunter2\nhunter3", "h\u00fcnter2"])
def test_a_key_that_is_invalid_in_a_header_is_refused_and_not_repeated(key: str) -> None:
    with pytest.raises(SettingsError, match=r"^VOX_LLM_API_KEY: ") as error_info:
        load_settings({**ENDPOINT, "VOX_LLM_API_KEY": key})
    assert "nter2" not in str(error_info.value)


def test_the_error_for_an_address_does_not_contain_its_password() -> None:
    with pytest.raises(SettingsError) as error_info:
        load_settings({**ENDPOINT, "VOX_LLM_BASE_URL": "https://me:hunter2@llm.example/v1"})
    assert "hunter2" not in str(error_info.value)


def test_a_missing_repository_is_refused_when_settings_load(tmp_path: Path) -> None:
    content = yaml.safe_load((profiles.PROFILE_DIR / "sample.yaml").read_text())
    content["repositories"] = [{"name": "away", "root": "../away"}]
    profile = tmp_path / "several.yaml"
    profile.write_text(yaml.safe_dump(content))
    with pytest.raises(
        SettingsError, match=r"root of 'away': .* expected a directory"
    ) as error_info:
        load_settings({"VOX_SOURCE_DIR": str(tmp_path), "VOX_PROFILE": str(profile)})
    assert str(error_info.value).startswith("VOX_PROFILE: profile 'sample'")
    assert "\n" not in str(error_info.value)


@pytest.mark.parametrize(
    ("value", "size"),
    [("500MB", 500_000_000), ("2.5 GB", 2_500_000_000), ("4096", 4096), ("1tb", 10**12)],
)
def test_the_cache_limit_is_a_size(value: str, size: int) -> None:
    assert load_settings({"VOX_CACHE_LIMIT": value}).cache_limit == size


@pytest.mark.parametrize("value", ["plenty", "-1GB", "3 GiB", "1,5GB", "GB"])
def test_an_invalid_cache_limit_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match=r"^VOX_CACHE_LIMIT: .* is not a size: expected"):
        load_settings({"VOX_CACHE_LIMIT": value})
