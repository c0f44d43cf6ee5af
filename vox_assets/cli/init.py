"""The command `init`: a first profile for a project."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from vox_assets.cli.command import Commands, add_project
from vox_assets.cli.ids import UsageError
from vox_assets.cli.tables import check_writable

#: Languages of fences shown at the end.
SHOWN = 6


def add(commands: Commands) -> None:
    """Add the command."""
    init = commands.add(
        "init",
        _init,
        "look at a project and write a first profile for it",
        examples=["init", "init /path/to/project", "init /path/to/project --out mine.yaml"],
        codes={0: "the profile is written", 1: "there is nothing to read, or the file exists"},
    )
    add_project(init)
    init.add_argument(
        "--out",
        type=Path,
        default=Path("vox-assets.yaml"),
        metavar="FILE",
        help="file to write, which must not exist (the default is vox-assets.yaml here)",
    )


def _init(options: argparse.Namespace) -> int:
    from vox_assets import profiles
    from vox_assets.extract.survey import survey
    from vox_assets.profiles.new import new_profile

    out: Path = options.out
    if out.suffix not in (".yaml", ".yml"):
        raise UsageError(f"{out}: expected a name that ends in .yaml")
    check_writable(out)
    found = survey(options.source)
    text = new_profile(
        found.project,
        found.language,
        _front_end(found.language),
        found.license,
        found.rust,
        found.docs,
        found.packages,
    )
    try:
        # The mode refuses a file that appeared meanwhile, too.
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UsageError(f"{out}: exists already: expected the name of a new file") from error
    profile = profiles.load(str(out))
    shown = [f"{name} {count:,}" for name, count in list(found.fences.items())[:SHOWN]]
    print(f"{out}: a profile for {found.project}")
    print(f"  Rust      {', '.join(found.rust) or 'none'} ({found.packages} packages)")
    print(f"  pages     {', '.join(found.docs) or 'none'} ({found.pages:,} pages)")
    print(f"  fences    {', '.join(shown) or 'none'}")
    print(f"  language  {profile.language}, checked by {_front_end(profile.language)}")
    print(f"next: vox-assets doctor {options.source} --profile {out}")
    return 0


def _front_end(language: str) -> str:
    """Return the front end of a language that is here already, as YAML."""
    if language == "vox":
        return "vox"
    module = f"tree_sitter_{language}"
    known = language.isidentifier() and find_spec(module) is not None
    return f"{{grammar: {module}}}" if known else "none"
