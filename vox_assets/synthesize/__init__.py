"""Synthetic rows: programs from templates, live-code expansion, repairs and dialogues.

`vox` writes Vox from templates and live programs, `rust` writes dialogues from live Rust, and
`model` asks a language model. `alike` measures how similar two texts are, and `audit` checks the
finished rows. What `rust` and `vox` share is in `shared`.

`synthesize` is the entry point: a pure function of the live rows, a profile and a syntax gate.
The same input gives the same rows, byte for byte. It calls no language model; `uplift` does.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl

from vox_assets.contract import rows as schema
from vox_assets.contract.rows import Drop, Pair
from vox_assets.profiles import Profile
from vox_assets.store.progress import Log, silent
from vox_assets.synthesize.rust.dialogues import rust_dialogues
from vox_assets.synthesize.shared import STAGE
from vox_assets.synthesize.vox import coverage, lexicon, programs, reserved
from vox_assets.synthesize.vox import templates as template_files
from vox_assets.synthesize.vox.dialogues import scripts, vox_dialogues
from vox_assets.synthesize.vox.live_code import Reader, expand_live_code
from vox_assets.synthesize.vox.programs import Gate
from vox_assets.synthesize.vox.repairs import make_repairs

__all__ = ["Synthesis", "synthesize"]

#: Largest share of the dialogues that may be Rust: the corpus has plenty of Rust, but no other
#: Rust of more than one turn.
RUST_SHARE = 1 / 3


@dataclass(frozen=True)
class Synthesis:
    """Synthetic rows, dropped candidates, and the constructs that the rows cover."""

    rows: pl.DataFrame
    drops: pl.DataFrame
    #: See `coverage.SCHEMA`.
    coverage: pl.DataFrame


def synthesize(
    rust_rows: pl.DataFrame,
    doc_rows: pl.DataFrame,
    profile: Profile,
    *,
    check_vox: Gate,
    read_source: Reader,
    weak: Collection[str] = (),
    log: Log = silent,
) -> Synthesis:
    """Expand templates and live code into as many rows as the profile asks for.

    Of the constructs in `weak`, templates give more programs: see `programs.candidates`.

    `check_vox` returns the reason why a Vox program is refused, or None; no refused program becomes
    an answer. `read_source` returns the text of a source file by its path below the source root.
    """
    wanted = profile.synthesis
    seed = wanted.seed
    domains = reserved.open_domains(lexicon.load())
    pool = programs.Pool()

    live, drops = expand_live_code(
        doc_rows, domains, profile, pool, check_vox, wanted.programs, read_source
    )
    log(f"live code: {len(live)} rows")

    variants = reserved.open_variants(template_files.load())
    stream = programs.candidates(variants, domains, seed, weak)
    written, lost = programs.take(stream, wanted.programs - len(live), pool, seed, check_vox)
    drops += lost
    log(f"templates: {len(written)} programs, {len(lost)} candidates refused")

    # Programs that no other row uses, so that answers do not repeat.
    unbroken, lost = programs.take(stream, wanted.repairs, pool, seed, check_vox)
    drops += lost
    repairs, lost = make_repairs(unbroken, profile, pool, check_vox, seed)
    drops += lost
    log(f"repairs: {len(repairs)} rows")

    most_rust = int(wanted.dialogues * RUST_SHARE)
    rust_talks, lost = rust_dialogues(rust_rows, profile, most_rust, read_source)
    drops += lost
    left = wanted.dialogues - len(rust_talks)
    vox_talks, lost = vox_dialogues(scripts(), domains, profile, pool, check_vox, left)
    drops += lost
    talks = [*rust_talks, *vox_talks]
    log(f"dialogues: {len(talks)} rows")

    pairs = [*live, *(programs.pair(item, profile) for item in written), *repairs, *talks]
    frame, repeated = _distinct(pairs)
    return Synthesis(
        rows=frame,
        drops=schema.drops_to_frame([*drops, *repeated]),
        coverage=coverage.table(doc_rows, frame),
    )


def _distinct(pairs: list[Pair]) -> tuple[pl.DataFrame, list[Drop]]:
    kept, repeated = schema.keep_first(pairs, STAGE)
    return schema.to_frame(kept), repeated
