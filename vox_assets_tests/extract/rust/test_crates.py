"""Module paths and crate names of files, and files that only test code declares."""

from __future__ import annotations

import pytest

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


@pytest.mark.parametrize(
    "folder", ["tests", "test", "benches", "testdata", "test_data", "test-data", "fixtures"]
)
def test_folders_of_tests_are_found_at_any_depth(folder: str) -> None:
    assert crates.test_folder(f"crates/a/{folder}/x.rs") == f"{folder}/ folder"
    assert crates.test_folder(f"crates/a/src/b/{folder}/c/x.rs") == f"{folder}/ folder"
    assert crates.test_folder(f"crates/{folder}.rs") is None
    assert crates.test_folder(f"crates/a/src/my_{folder}/x.rs") is None


@pytest.mark.parametrize("table", ["test", "bench"])
def test_targets_of_tests_and_what_they_contain_are_test_code(table: str) -> None:
    manifest = f"""
        [package]
        name = "sea-map"
        [[{table}]]
        name = "it"
        path = "./it/main.rs"
        [[{table}]]
        path = "src/entry.rs"
        [lib]
        path = "src/entry.rs"
        [[example]]
        name = "show"
        path = "demo/show.rs"
    """
    found = _modules(
        {
            "crates/map/it/main.rs": "mod helper;",
            "crates/map/it/helper.rs": "mod deep;",
            "crates/map/it/helper/deep.rs": "",
            "crates/map/it/included.rs": "",
            "crates/map/demo/show.rs": "",
            "crates/map/src/entry.rs": '#[path = "../it/shared.rs"] mod shared;',
            "crates/map/it/shared.rs": "",
        },
        manifest,
    )
    left_out = {path.removeprefix("crates/map/") for path in found if found[path].left_out}
    # The library is a folder of the test target too, so the file that nothing declares is kept.
    assert left_out == {"it/main.rs", "it/helper.rs", "it/helper/deep.rs"}
    assert found["crates/map/demo/show.rs"].symbol == "show"
    assert found["crates/map/src/entry.rs"].symbol == "sea_map"


def test_a_file_that_nothing_declares_in_the_folder_of_a_test_target_is_test_code() -> None:
    manifest = '[package]\nname = "a"\n[[test]]\nname = "it"\npath = "it/main.rs"\n'
    found = _modules(
        {
            "crates/map/it/main.rs": "",
            "crates/map/it/parts/included.rs": "",
            "crates/map/src/lib.rs": "",
            "crates/map/src/lost.rs": "",
        },
        manifest,
    )
    left_out = {path.removeprefix("crates/map/") for path in found if found[path].left_out}
    assert left_out == {"it/main.rs", "it/parts/included.rs"}


def test_the_name_of_the_library_starts_the_paths_of_its_items() -> None:
    manifest = '[package]\nname = "long-name"\nbuild = "make/it.rs"\n[lib]\nname = "short"\n'
    found = _modules(
        {
            "crates/map/src/lib.rs": "mod a;",
            "crates/map/src/a.rs": "",
            "crates/map/src/lost.rs": "",
            "crates/map/src/main.rs": "",
            "crates/map/make/it.rs": "",
        },
        manifest,
    )
    assert {path.removeprefix("crates/map/"): found[path].symbol for path in found} == {
        "src/lib.rs": "short",
        "src/a.rs": "short::a",
        "src/lost.rs": "short::lost",
        "src/main.rs": "long_name",
        "make/it.rs": "build_script_build",
    }


def test_modules_with_a_path_for_some_platforms_are_found_in_every_file() -> None:
    found = _modules(
        {
            "crates/map/src/lib.rs": (
                '#[cfg_attr(unix, path = "sys/unix.rs")]\n'
                '#[cfg_attr(windows, path = r"sys/win.rs")]\n'
                "mod sys;\n"
                '#[cfg_attr(test, path = "fake_clock.rs")]\nmod clock;\n'
            ),
            "crates/map/src/sys/unix.rs": "",
            "crates/map/src/sys/win.rs": "",
            "crates/map/src/sys.rs": "",
            "crates/map/src/clock.rs": "",
            "crates/map/src/fake_clock.rs": "",
        }
    )
    assert {path.rsplit("/", 1)[1] for path in found if found[path].left_out} == {"fake_clock.rs"}
    names = ("sys/unix.rs", "sys/win.rs", "sys.rs")
    assert {found[f"crates/map/src/{name}"].symbol for name in names} == {"sea_map::sys"}
    assert found["crates/map/src/clock.rs"].symbol == "sea_map::clock"
