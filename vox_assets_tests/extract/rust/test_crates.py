"""Module paths and crate names of files, and files that only test code declares."""

from __future__ import annotations

from vox_assets.extract.rust import crates
from vox_assets.extract.rust import items as rust
from vox_assets.extract.rust.crates import Crate, CrateIndex, Module


def _modules(
    files: dict[str, str], manifest: str = '[package]\nname = "sea-map"\n'
) -> dict[str, Module]:
    parsed = {path: rust.parse(text) for path, text in files.items()}
    return crates.modules(parsed, CrateIndex([Crate.from_manifest("crates/map", manifest)]))


def test_module_paths_follow_declarations() -> None:
    modules = _modules(
        {
            "crates/map/src/lib.rs": "mod tiles;\npub mod a { pub mod b; }\nmod ways;",
            "crates/map/src/tiles/mod.rs": "mod cache;",
            "crates/map/src/tiles/cache.rs": "mod disk;",
            "crates/map/src/tiles/cache/disk.rs": "",
            "crates/map/src/a/b.rs": "",
            "crates/map/src/ways.rs": '#[path = "odd.rs"] mod even;',
            "crates/map/src/odd.rs": "",
            "crates/map/src/orphan/mod.rs": "",
            "crates/map/src/main.rs": "",
            "crates/map/src/bin/draw-it.rs": "",
            "crates/map/build.rs": "",
        }
    )
    assert {path.removeprefix("crates/map/"): modules[path].symbol for path in modules} == {
        "src/lib.rs": "sea_map",
        "src/tiles/mod.rs": "sea_map::tiles",
        "src/tiles/cache.rs": "sea_map::tiles::cache",
        "src/tiles/cache/disk.rs": "sea_map::tiles::cache::disk",
        "src/a/b.rs": "sea_map::a::b",
        "src/ways.rs": "sea_map::ways",
        "src/odd.rs": "sea_map::ways::even",
        "src/orphan/mod.rs": "sea_map::orphan",
        "src/main.rs": "sea_map",
        "src/bin/draw-it.rs": "draw_it",
        "build.rs": "build_script_build",
    }


def test_files_that_only_test_code_declares_are_test_code() -> None:
    modules = _modules(
        {
            "crates/map/src/lib.rs": "#[cfg(test)] mod checks;\nmod shared;\nmod deep;",
            "crates/map/src/checks.rs": "mod helper; mod both;",
            "crates/map/src/checks/helper.rs": "",
            "crates/map/src/checks/both.rs": "",
            "crates/map/src/shared.rs": '#[path = "checks/both.rs"] mod both;',
            "crates/map/src/deep/mod.rs": "#[cfg(all(test, unix))]\nmod probe;",
            "crates/map/src/deep/probe.rs": "",
            "crates/map/src/lost_tests.rs": "",
            "crates/map/src/inventory.rs": "",
        }
    )
    left_out = {path.rsplit("/src/")[1] for path in modules if modules[path].left_out}
    assert left_out == {"checks.rs", "checks/helper.rs", "deep/probe.rs", "lost_tests.rs"}


def test_a_manifest_names_its_targets_and_an_invalid_manifest_is_ignored() -> None:
    manifest = """
        [package]
        name = "tide"
        description = "Tide tables."
        [lib]
        path = "src/entry.rs"
        [[bin]]
        name = "tide-cli"
        path = "src/cli/start.rs"
    """
    crate = Crate.from_manifest("crates/t", manifest)
    assert (crate.name, crate.description) == ("tide", "Tide tables.")
    assert crate.root_name("crates/t/src/entry.rs") == "tide"
    assert crate.root_name("crates/t/src/cli/start.rs") == "tide-cli"
    for invalid in ("[package", "package = 3", "", "[package]\nname = 4\n[[bin]]\npath = 1"):
        assert Crate.from_manifest("crates/t", invalid).name == "t"


def test_without_a_manifest_the_folder_is_the_crate() -> None:
    index = CrateIndex([])
    assert index.of("crates/loose/src/deep/x.rs").name == "loose"
    assert index.of("crates/alone.rs").name == "crates"


def test_files_in_test_folders_are_test_code() -> None:
    assert crates.test_folder("crates/a/tests/x.rs") == "tests/ folder"
    assert crates.test_folder("crates/a/src/b/benches/x.rs") == "benches/ folder"
    assert crates.test_folder("crates/tests.rs") is None
