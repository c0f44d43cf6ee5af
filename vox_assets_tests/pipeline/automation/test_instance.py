"""Tests that builds find or create a configured Dagster home, and leave other homes alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from vox_assets.pipeline.automation.instance import configuration, prepare_home
from vox_assets.pipeline.automation.launcher import ProcessRunLauncher
from vox_assets.settings import Settings, SettingsError, load_settings
from vox_assets.terminal import COLUMNS
from vox_assets_tests.postgres import free_port


def settings_of(folder: Path, **more: str) -> Settings:
    return load_settings({"VOX_DATA_DIR": str(folder / "data"), **more})


def run_command(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `vox-assets` in `folder`, without any setting but `more`."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VOX_", "DAGSTER_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "vox_assets.cli", *arguments],
        cwd=folder,
        env={**environment, **more},
        capture_output=True,
        text=True,
    )


def test_the_home_below_the_data_folder_is_created_with_the_configuration(tmp_path: Path) -> None:
    home = prepare_home(settings_of(tmp_path))
    assert home == tmp_path / "data" / "dagster"
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert isinstance(instance.run_launcher, ProcessRunLauncher)
        assert instance.freshness_enabled


def test_an_outdated_configuration_of_the_own_home_is_replaced(tmp_path: Path) -> None:
    home = prepare_home(settings_of(tmp_path))
    (home / "dagster.yaml").write_text("telemetry: {enabled: true}\n")
    assert prepare_home(settings_of(tmp_path, DAGSTER_HOME=f"{home}/")) == home
    assert (home / "dagster.yaml").read_text() == configuration(with_postgres=False)


def test_the_home_of_another_instance_is_used_as_it_is(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert prepare_home(settings_of(tmp_path, DAGSTER_HOME=str(other))) == other
    assert list(other.iterdir()) == []
    assert not (tmp_path / "data").exists()


def test_a_missing_home_of_another_instance_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^DAGSTER_HOME: .*absent is not a directory") as info:
        prepare_home(settings_of(tmp_path, DAGSTER_HOME=str(tmp_path / "absent")))
    assert "\n" not in str(info.value)


def test_a_home_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dagster").write_text("a file")
    with pytest.raises(SettingsError, match=r"^VOX_DATA_DIR: .* cannot be written") as info:
        prepare_home(settings_of(tmp_path))
    assert "\n" not in str(info.value)


def test_the_configuration_names_postgres_only_where_its_address_is_set(tmp_path: Path) -> None:
    assert "storage" not in yaml.safe_load(configuration(with_postgres=False))
    home = prepare_home(settings_of(tmp_path, DAGSTER_POSTGRES_URL="postgresql://host/db"))
    written = yaml.safe_load((home / "dagster.yaml").read_text())
    assert written["storage"]["postgres"]["postgres_url"] == {"env": "DAGSTER_POSTGRES_URL"}
    assert written["telemetry"] == {"enabled": False}


def test_a_build_records_its_run_in_a_home_that_it_creates(tmp_path: Path) -> None:
    # A tree without pages and crates fails in its first step, so the build is short.
    (tmp_path / "tree").mkdir()
    done = run_command(tmp_path, "build", "corpus", VOX_SOURCE_DIR="tree")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    # A long path breaks the line after it.
    assert " ".join(" ".join(lines[:2]).split()).startswith(
        f"corpus {tmp_path / 'tree'}, profile vox"
    )
    assert any(line.startswith("FAILED raw_rust_fns: ") for line in lines)
    assert lines[-1].startswith(f"The output of the steps is in {tmp_path / 'data'}")
    # The log of Dagster stays in its own files.
    assert " - dagster - " not in done.stderr
    # A path stays whole, so that it can be copied.
    assert max(len(line) for line in lines if str(tmp_path) not in line) <= COLUMNS
    assert "total     " in done.stdout
    assert "DAGSTER_HOME" not in done.stderr
    home = tmp_path / "data" / "dagster"
    assert (home / "dagster.yaml").read_text() == configuration(with_postgres=False)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        [run] = instance.get_runs()
    assert run.job_name == "corpus"


def test_a_build_without_a_source_tree_is_refused_in_one_line_and_writes_nothing(
    tmp_path: Path,
) -> None:
    done = run_command(tmp_path, "build", "corpus")
    assert done.returncode == 1
    assert done.stderr.startswith("vox-assets: VOX_SOURCE_DIR: ")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def check_unreadable_builds(done: subprocess.CompletedProcess[str], fault: str) -> None:
    assert done.returncode == 1
    assert "VOX_DATA_DIR" in done.stdout
    assert "builds cannot be read" in done.stdout
    assert done.stderr.startswith(f"vox-assets: {fault}")
    assert len(done.stderr.splitlines()) == 1


def test_status_without_the_database_shows_the_settings_and_one_line(tmp_path: Path) -> None:
    url = f"postgresql+psycopg2://me:hunter2@127.0.0.1:{free_port()}/runs"
    prepare_home(settings_of(tmp_path, DAGSTER_POSTGRES_URL=url))
    data = {"VOX_DATA_DIR": str(tmp_path / "data")}
    done = run_command(tmp_path, "status", DAGSTER_POSTGRES_URL=url, **data)
    check_unreadable_builds(done, "DAGSTER_POSTGRES_URL: the database does not answer (")
    assert "hunter2" not in done.stdout + done.stderr
    # Another shell may lack the variable.
    done = run_command(tmp_path, "status", **data)
    check_unreadable_builds(done, "DAGSTER_POSTGRES_URL: is not set, but ")
    content = json.loads(run_command(tmp_path, "status", "--json", **data).stdout)
    assert content["builds"] is None
    assert content["settings"]["VOX_DATA_DIR"]["value"] == str(tmp_path / "data")


@pytest.mark.parametrize("damaged", ["dagster.yaml", "history/runs.db"])
def test_status_reports_a_damaged_instance_in_one_line(tmp_path: Path, damaged: str) -> None:
    home = prepare_home(settings_of(tmp_path))
    (home / damaged).parent.mkdir(exist_ok=True)
    (home / damaged).write_text("no database\n" * 1000)
    done = run_command(tmp_path, "status", VOX_DATA_DIR=str(tmp_path / "data"))
    check_unreadable_builds(done, f"{home}: the Dagster instance cannot be opened (")
