"""The page about profiles lists every field with its meaning."""

from __future__ import annotations

from vox_assets.profiles import Profile
from vox_assets_tests.profiles.profile_reference import PAGE, fields, with_reference


def test_the_page_has_todays_fields() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_reference(page) == page, "run python -m vox_assets_tests.profiles.profile_reference"


def test_the_reference_has_every_field_of_a_profile() -> None:
    paths = {path for path, *_ in fields("Profile")}
    assert set(Profile.model_fields) <= paths
    assert {"mix.eval_rows", "ranks[].rank", "judge.budget.tokens", "folders.docs"} <= paths
