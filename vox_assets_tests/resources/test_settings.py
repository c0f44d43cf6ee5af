"""Settings come from the environment, and a wrong one is refused by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from vox_assets.resources.settings import SAMPLE_WORKSPACE, SettingsError, load_settings


def test_the_bundled_workspace_and_its_profile_are_the_default() -> None:
    settings = load_settings({})
    assert settings.source_dir == SAMPLE_WORKSPACE.resolve()
    assert settings.profile.name == "sample"


def test_another_source_takes_the_vox_profile(tmp_path: Path) -> None:
    assert load_settings({"VOX_SOURCE_DIR": str(tmp_path)}).profile.name == "vox"


def test_blank_means_unset(tmp_path: Path) -> None:
    settings = load_settings({"VOX_PROFILE": " ", "VOX_DATA_DIR": str(tmp_path / "out")})
    assert settings.profile.name == "sample"
    assert settings.lake_uri == str(tmp_path / "out" / "lake")


def test_the_lake_may_be_an_object_store() -> None:
    assert load_settings({"VOX_LAKE_URL": "s3://vox/lake/"}).lake_uri == "s3://vox/lake"


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("VOX_SOURCE_DIR", "/nonexistent/place", "crates/ and docs/src/"),
        ("VOX_DATA_DIR", __file__, "expected a directory"),
        ("VOX_PROFILE", "nonesuch", "expected one of"),
        ("VOX_ALERT_URLS", "json://ok.example, hunter2", "entry 2 has no scheme"),
        ("VOX_LAKE_URL", "ftp://host/lake", "expected an object store"),
        ("VOX_LAKE_URL", "/srv/lake", "unset it for VOX_DATA_DIR"),
        ("VOX_TIMEZONE", "Mars/Olympus", "IANA name"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(
    variable: str, value: str, expected: str
) -> None:
    with pytest.raises(SettingsError, match=expected) as caught:
        load_settings({variable: value})
    assert str(caught.value).startswith(variable)
    assert "\n" not in str(caught.value)


def test_a_refused_alert_url_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"VOX_ALERT_URLS": "hunter2"})
    assert "hunter2" not in str(caught.value)
