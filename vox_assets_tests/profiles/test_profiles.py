"""A valid profile loads; an invalid profile is refused in one line that names the field."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from vox_assets import profiles


@pytest.mark.parametrize("name", profiles.available())
def test_bundled_profiles_load_and_train_only_code(name: str) -> None:
    profile = profiles.load(name)
    assert profile.name == name
    assert profile.mix.lanes == ("vox_codegen",)


def test_lanes_follow_crate_and_mode() -> None:
    profile = profiles.load("vox")
    assert profile.lane_for("rust", "code_only", "crates/x/src/lib.rs", "vox-compiler") == (
        "vox_codegen"
    )
    assert profile.lane_for("rust", "code_only", "crates/x/src/lib.rs", "vox-oratio") == (
        "vox_speech"
    )
    assert profile.lane_for("rust", "code_only", "crates/x/src/lib.rs", "vox-mcp-registry") == (
        "vox_tooling"
    )
    assert profile.lane_for("rust", "prose_only", "crates/x/src/lib.rs", "vox-oratio") == (
        "vox_docs_qa"
    )


def test_a_run_may_select_other_lanes_by_name() -> None:
    profile = profiles.load("vox").with_lanes(["vox_docs_qa"])
    assert profile.mix.lanes == ("vox_docs_qa",)
    for lanes in ([], ["vox_songs"], ["vox_speech", "vox_speech"]):
        with pytest.raises(profiles.ProfileError, match="expected one or more different lanes"):
            profiles.load("vox").with_lanes(lanes)


RANK = {"rank": 8, "alpha": 8, "learning_rate": 1e-4, "epochs": 1, "reason": "r"}


def edited(tmp_path: Path, **changes: object) -> str:
    content = yaml.safe_load((profiles.PROFILE_DIR / "sample.yaml").read_text())
    path = tmp_path / "edited.yaml"
    path.write_text(yaml.safe_dump({**content, **changes}))
    return str(path)


def test_a_profile_may_be_a_path(tmp_path: Path) -> None:
    assert profiles.load(edited(tmp_path, name="mine")).name == "mine"


def test_the_digest_depends_on_the_policy_and_not_on_the_layout(tmp_path: Path) -> None:
    assert profiles.load(edited(tmp_path)).digest == profiles.load("sample").digest
    assert profiles.load(edited(tmp_path, name="x")).digest != profiles.load("sample").digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scoring": {"threshold": 11}}, "scoring.threshold"),
        ({"colour": "blue"}, "colour"),
        ({"lane_rules": [{"lane": "vox_speech", "crate": "a*"}]}, "last rule has conditions"),
        ({"size": {"tier": "huge"}}, "size.tier"),
        (
            {
                "uplift": {
                    "questions": 1,
                    "answer_tokens": 500,
                    "budget": {"requests": 1, "tokens": 1, "concurrency": 0},
                }
            },
            "uplift.budget.concurrency",
        ),
        ({"ranks": [RANK | {"response_tokens_up_to": 9}]}, "last tier has response_tokens_up_to"),
        ({"repositories": [{"name": "A b", "root": "."}]}, "repositories.0.name: .* match pattern"),
        ({"repositories": [{"name": "a", "root": ""}]}, "repositories.0.root: .* match pattern"),
        ({"repositories": [{"name": "a", "root": "a\0"}]}, "repositories.0.root: .* match pattern"),
        ({"repositories": [{"name": "a", "root": "."}] * 2}, "'a' is named twice: expected diff"),
        ({"repositories": [{"name": "tests", "root": "."}]}, "'tests' is a reserved name"),
        (
            {"lane_rules": [{"lane": "vox_speech", "repository": "b*"}, {"lane": "vox_codegen"}]},
            "lane_rules: repository 'b\\*' matches no repository",
        ),
        ({"lane_rules": [{"lane": "vox_speech", "repository": "b*"}]}, "last rule has cond"),
        ({"folders": {"rust": ["../crates"]}}, r"folders.rust.0: .*'../crates' is no path below"),
        ({"folders": {"docs": ["a", "a/b"]}}, "folders.docs: 'a/b' is inside 'a'"),
        ({"folders": {"docs": ["a", "a"]}}, "folders.docs: 'a' is inside 'a'"),
        ({"language": "nu"}, "frontend: vox checks Vox, but language is nu: expected none"),
        ({"language": "nu", "frontend": "none"}, "synthesis: its templates are Vox, but language"),
        ({"frontend": {"command": [], "extension": ".nu"}}, "frontend.command.command"),
        ({"frontend": {"grammar": "os"}}, "frontend.grammar.grammar"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(profiles.ProfileError, match=message) as error:
        profiles.load(edited(tmp_path, **changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", ["[1, 2]", "a: [", "\x00"])
def test_a_file_that_is_not_a_profile_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(content)
    with pytest.raises(profiles.ProfileError, match=r"broken\.yaml"):
        profiles.load(str(path))


def test_a_cap_of_repositories_needs_repositories(tmp_path: Path) -> None:
    mix = yaml.safe_load((profiles.PROFILE_DIR / "sample.yaml").read_text())["mix"]
    with pytest.raises(
        profiles.ProfileError, match=r"mix\.repository_cap: there are no repositories"
    ):
        profiles.load(edited(tmp_path, mix=mix | {"repository_cap": 0.5}))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(profiles.ProfileError, match="expected one of sample, vox"):
        profiles.load("nonesuch")
