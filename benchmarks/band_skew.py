"""How the buckets of the near-duplicate bands grow and skew: `python benchmarks/band_skew.py`.

Reads answers (tables of `vox-assets extract`, or else the bundled workspace), sketches them with
the permutations of `curate.similarity`, and asks of several band layouts how many buckets,
candidate pairs and giants a hundred million rows would give.

A crate is the unit that is drawn: what one crate repeats in itself says nothing about the next one.
The number of crates that a bucket's key occurs in gives, by the nonparametric maximum likelihood of
a Poisson mixture (Kiefer and Wolfowitz 1956, by EM as in Laird 1978), how frequent keys are among
all crates; how many rows a crate has in such a bucket is drawn from what was seen. Buckets are then
drawn at the size asked for: of frequent keys all, of the many rare ones a sample, so that a run
takes a minute. Two checks say how far to trust it: the same simulation at the size that was
measured, and a fit on half of the crates that predicts all of them.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import polars as pl

from vox_assets import profiles
from vox_assets.curate.dedup import normalise
from vox_assets.curate.similarity import (
    BAND_ROWS,
    BANDS,
    HASH_BITS,
    MINHASH_SEED,
    Shingles,
    SimilarPairs,
    exact_pairs,
    shingle,
)
from vox_assets.extract import extract_rust
from vox_assets.settings import SAMPLE_WORKSPACE

ROWS = 100_000_000
SEED = 20261122
#: (bands, rows of a band), at most 128 permutations: ours, and what finds more or less by chance.
LAYOUTS = ((32, 4), (BANDS, BAND_ROWS), (21, 6), (16, 8))
#: A bucket beyond this is cut into pieces of this size or not compared at all: a thousand rows are
#: half a million pairs, some seconds of one core.
BUCKET_CAP = 1_000
#: Buckets drawn of each frequency, fewer where they are large: the others are like them.
SAMPLED_BUCKETS, SAMPLED_CRATES, FEWEST_BUCKETS = 20_000, 2_000_000, 16
#: Crates from which on a key is common: commoner keys are repeated more within a crate as well.
COMMON_CRATES = 4
#: Frequencies of the mixture, evenly spaced in their logarithm, and the steps of the fit.
FREQUENCIES, STEPS = 120, 3_000
JACCARD = 0.8
#: Odd numbers that fold the hashes of a band into 64 bits.
_KEY_FACTORS = np.random.default_rng(SEED).integers(1, 2**63, 16, np.uint64) * 2 + 1
#: Four times the permutations that dedup takes: which bands fall on a common shingle is luck, and a
#: quarter of a hundred bands measure it badly.
PERMUTATIONS = 512
#: Pairs less alike than this meet in less than one band of a million.
JOIN_FROM = 0.03


@dataclass(frozen=True)
class Rows:
    """Distinct answers: `signatures` uint32 (rows, PERMUTATIONS), their crate and their shingles.

    `joined` are all pairs from JOIN_FROM on, found without sketches.
    """

    signatures: np.ndarray
    crates: np.ndarray
    sizes: np.ndarray
    joined: SimilarPairs

    def some(self, keep: np.ndarray) -> Rows:
        """The rows where `keep` holds, without their pairs."""
        none = SimilarPairs.of(np.empty(0), np.empty(0), np.empty(0))
        return Rows(self.signatures[keep], self.crates[keep], self.sizes[keep], none)

    @property
    def near(self) -> tuple[np.ndarray, np.ndarray]:
        found = self.joined.similarity >= JACCARD
        return self.joined.left[found], self.joined.right[found]

    def across(self, band_rows: int) -> float:
        """Pairs of different crates that meet in a band, on average over all permutations."""
        apart = self.crates[self.joined.left] != self.crates[self.joined.right]
        return float((self.joined.similarity[apart] ** band_rows).sum())


@dataclass(frozen=True)
class Buckets:
    """Of one layout, over all bands: per key and crate the rows, in the order of keys."""

    bands: int
    #: Per (key, crate): the number of the key, and the rows of that crate in its bucket.
    keys: np.ndarray
    bursts: np.ndarray

    @property
    def spread(self) -> np.ndarray:
        """Crates of each key."""
        return np.bincount(self.keys)

    @property
    def rows(self) -> np.ndarray:
        """Rows of each key."""
        return np.bincount(self.keys, weights=self.bursts)

    @property
    def across(self) -> float:
        """Pairs of rows from different crates, in a band."""
        return float(
            (_pairs(self.rows).sum() - _pairs(self.bursts.astype(float)).sum()) / self.bands
        )


@dataclass(frozen=True)
class Drawn:
    """Simulated buckets of one band: `sizes` in rows, each standing for `weights` like it."""

    sizes: np.ndarray
    #: Pairs of one crate in each.
    within: np.ndarray
    weights: np.ndarray

    @property
    def across(self) -> float:
        """Pairs of rows from different crates."""
        return float((self.weights * (_pairs(self.sizes) - self.within)).sum())


def _pairs(sizes: np.ndarray) -> np.ndarray:
    return sizes * (sizes - 1.0) / 2


def read(tables: list[Path]) -> tuple[list[str], list[str]]:
    """Answers and their crates, from tables of `vox-assets extract` or the bundled workspace."""
    if tables:
        frames = [
            (pl.read_parquet if path.suffix == ".parquet" else pl.read_ndjson)(path)
            for path in tables
        ]
    else:
        frames = [extract_rust(SAMPLE_WORKSPACE, profiles.load("sample"), commit=None).rows]
    columns = [frame.select("response", "category") for frame in frames]
    rows = pl.concat(
        [
            frame.with_columns((pl.lit(f"{number}/") + pl.col("category")).alias("category"))
            for number, frame in enumerate(columns)
        ]
    )
    return rows["response"].to_list(), rows["category"].to_list()


def sketch(answers: list[str], crates: list[str]) -> Rows:
    """Signatures of the distinct answers: equal ones lose before any band is looked at."""
    from datasketch import MinHash

    first = {normalise(text): number for number, text in reversed(list(enumerate(answers)))}
    order = sorted(first.values())
    every = shingle([normalise(answers[number]) for number in order])
    filled = np.flatnonzero(every.sizes > 0)
    sizes = every.sizes[filled]
    shingles = Shingles(np.concatenate(([0], np.cumsum(sizes))), every.hashes)
    hashes = (shingles.hashes >> np.uint64(HASH_BITS - 32)).astype(np.uint32)
    sketches = MinHash.bulk(
        (hashes[start:end].tolist() for start, end in pairwise(shingles.bounds)),
        num_perm=PERMUTATIONS,
        seed=MINHASH_SEED,
        hashfunc=lambda value: value,
    )
    names = np.unique([crates[order[row]] for row in filled], return_inverse=True)[1]
    signatures = np.stack([one.hashvalues for one in sketches]).astype(np.uint32)
    return Rows(signatures, names, sizes, exact_pairs(shingles, JOIN_FROM))


def band_keys(signatures: np.ndarray, band_rows: int) -> Iterator[np.ndarray]:
    """Of each band that the permutations make, the number of every row's key, from 0."""
    for band in range(PERMUTATIONS // band_rows):
        part = signatures[:, band * band_rows : (band + 1) * band_rows].astype(np.uint64)
        yield np.unique(part @ _KEY_FACTORS[:band_rows], return_inverse=True)[1]


def buckets(rows: Rows, band_rows: int) -> Buckets:
    keys: list[np.ndarray] = []
    bursts: list[np.ndarray] = []
    known = 0
    crates = int(rows.crates.max()) + 1
    for numbers in band_keys(rows.signatures, band_rows):
        held, counts = np.unique(numbers * crates + rows.crates, return_counts=True)
        keys.append(held // crates + known)
        bursts.append(counts)
        known += int(numbers.max()) + 1
    return Buckets(PERMUTATIONS // band_rows, np.concatenate(keys), np.concatenate(bursts))


@dataclass(frozen=True)
class Mixture:
    """Keys of all bands by frequency: `keys[i]` of them are in a draw with `frequency[i]`.

    A draw is a crate's share in one bucket; `draws` of them were seen, from `rows` rows.
    """

    frequency: np.ndarray
    keys: np.ndarray
    draws: float
    rows: int

    def expected(self, spread: np.ndarray) -> np.ndarray:
        """Mean frequency of the keys that were seen in so many crates."""
        weights = self.keys * _poisson(spread[:, None], self.draws * self.frequency)
        return (weights * self.frequency).sum(axis=1) / weights.sum(axis=1)


def _poisson(count: np.ndarray, mean: np.ndarray) -> np.ndarray:
    logarithm = np.array([math.lgamma(value + 1.0) for value in np.ravel(count)])
    return np.exp(count * np.log(mean) - mean - logarithm.reshape(np.shape(count)))


def fit(found: Buckets, rows: int) -> Mixture:
    """The mixture under which what was seen is likeliest; keys that nobody drew are counted in."""
    spread = np.bincount(found.spread)
    seen = np.flatnonzero(spread[1:]) + 1
    counts = spread[seen].astype(float)
    draws = len(found.keys) / found.bands
    # Below a hundredth of a draw a frequency shows in nothing but keys of one crate.
    frequency = np.geomspace(0.002, 2.0 * seen.max(), FREQUENCIES) / draws
    likelihood = _poisson(seen[:, None], draws * frequency)
    drawn = 1.0 - np.exp(-draws * frequency)
    share = np.full(FREQUENCIES, 1.0 / FREQUENCIES)
    for _ in range(STEPS):
        # Of keys that were drawn at all: the Poisson is cut off at zero.
        posterior = share * likelihood / drawn
        posterior /= posterior.sum(axis=1, keepdims=True)
        share = counts @ posterior / counts.sum()
    return Mixture(frequency, share * counts.sum() / drawn, draws, rows)


def draw(mixture: Mixture, found: Buckets, rows: int, rng: np.random.Generator) -> Drawn:
    """Buckets of one band among `rows` rows: crates by their frequency, rows by what was seen.

    A key repeats within crates as a key does that several crates were seen to share: an idiom that
    fills one crate fills the others too, and what one crate alone repeats says nothing about them.
    """
    spread = found.spread
    starts = np.concatenate(([0], np.cumsum(spread)))
    draws = mixture.draws * rows / mixture.rows
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for frequency, keys in zip(mixture.frequency, mixture.keys, strict=True):
        affordable = max(FEWEST_BUCKETS, int(SAMPLED_CRATES / (draws * frequency)))
        drawn = int(min(SAMPLED_BUCKETS, affordable, rng.poisson(keys)))
        if drawn == 0:
            continue
        common = mixture.draws * frequency >= COMMON_CRATES - 0.5
        shared = spread >= COMMON_CRATES if common else (spread > 1) & (spread < COMMON_CRATES)
        kind = np.flatnonzero(shared if shared.any() else spread > 1)
        crates = rng.poisson(draws * frequency, drawn)
        like = np.repeat(rng.choice(kind, drawn), crates)
        bursts = found.bursts[starts[like] + (rng.random(len(like)) * spread[like]).astype(int)]
        owner = np.repeat(np.arange(drawn), crates)
        parts.append(
            (
                np.bincount(owner, bursts, drawn),
                np.bincount(owner, _pairs(bursts.astype(float)), drawn),
                np.full(drawn, keys / found.bands / drawn),
            )
        )
    return Drawn(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def half_of(rows: Rows, rng: np.random.Generator) -> Rows:
    """The rows of a random half of the crates."""
    crates = rng.permutation(int(rows.crates.max()) + 1)
    return rows.some(np.isin(rows.crates, crates[: len(crates) // 2]))


def found_below_cap(rows: Rows, layout: tuple[int, int], mixture: Mixture, growth: float) -> float:
    """Share of the near pairs that share some bucket which stays below the cap at that growth."""
    left, right = rows.near
    if not len(left):
        return math.nan
    found = np.zeros(len(left), bool)
    bands, band_rows = layout
    for numbers in islice(band_keys(rows.signatures, band_rows), bands):
        counts = np.bincount(numbers)
        spread = np.bincount(
            np.unique(numbers * (rows.crates.max() + 1) + rows.crates) // (rows.crates.max() + 1)
        )
        frequency = mixture.expected(spread)
        large = frequency * mixture.draws * growth * counts / spread > BUCKET_CAP
        shared = numbers[left] == numbers[right]
        found |= shared & ~large[numbers[left]]
    return float(found.mean())


def report(rows: Rows, layout: tuple[int, int], wanted: int) -> dict[str, float]:
    """The figures of one layout at `wanted` rows, all bands together."""
    bands, band_rows = layout
    rng = np.random.default_rng([SEED, bands])
    found = buckets(rows, band_rows)
    if found.spread.max() < 2:
        raise SystemExit("band_skew: no two crates share a bucket: expected more rows or crates")
    mixture = fit(found, len(rows.sizes))
    half = half_of(rows, rng)
    found_half = buckets(half, band_rows)
    if found_half.spread.max() < 2:
        raise SystemExit("band_skew: no two crates of a half share a bucket: expected more crates")
    said = draw(fit(found_half, len(half.sizes)), found_half, len(rows.sizes), rng)
    again = draw(mixture, found, len(rows.sizes), rng)
    pairs_seen = (rows.across(band_rows), found.across, again.across, said.across)
    largest_seen = (found.rows.max(), again.sizes.max(), said.sizes.max())
    figures = "".join(f"{figure:>12,.0f}" for figure in (*pairs_seen, *largest_seen))
    print(f"{f'{bands} x {band_rows}':<10}{figures}", flush=True)
    large = draw(mixture, found, wanted, rng)
    order = np.argsort(-large.sizes)
    sizes, weights = large.sizes[order], large.weights[order]
    pairs = weights * _pairs(sizes)
    held = sizes > 1
    above = np.cumsum(weights)
    # More bands were drawn than the layout has: this is the size that one bucket of it reaches.
    largest = sizes[np.searchsorted(bands * above, 1.0)]
    pieces = np.maximum(1, np.ceil(sizes / BUCKET_CAP))
    return {
        "found at .8": 1 - (1 - JACCARD**band_rows) ** bands,
        "buckets of 2+": bands * weights[held].sum(),
        "pairs": bands * pairs.sum(),
        "the same, by the square": bands * rows.across(band_rows) * (wanted / len(rows.sizes)) ** 2,
        "largest bucket": largest,
        "its pairs": _pairs(largest),
        "work in the top 100": pairs[above <= 100 / bands].sum() / pairs.sum(),
        "work in the top 0.01 %": pairs[above <= 1e-4 * weights[held].sum()].sum() / pairs.sum(),
        "buckets over the cap": bands * weights[sizes > BUCKET_CAP].sum(),
        "pairs under the cap": bands * pairs[sizes <= BUCKET_CAP].sum(),
        "pairs in pieces": bands * (weights * pieces * _pairs(sizes / pieces)).sum(),
        "near pairs left by the cap": found_below_cap(
            rows, layout, mixture, wanted / len(rows.sizes)
        ),
        "sizes that may be alike": sizes_alike(rows, layout),
    }


def sizes_alike(rows: Rows, layout: tuple[int, int]) -> float:
    """Share of the candidates of different crates whose shingle counts allow the Jaccard."""
    alike = total = 0
    for numbers in band_keys(rows.signatures, layout[1]):
        order = np.argsort(numbers, kind="stable")
        keys, crates, sizes = numbers[order], rows.crates[order], rows.sizes[order]
        for step in range(1, int(np.bincount(numbers).max())):
            pair = (keys[step:] == keys[:-step]) & (crates[step:] != crates[:-step])
            one, other = sizes[step:][pair], sizes[:-step][pair]
            total += len(one)
            alike += int((np.minimum(one, other) >= JACCARD * np.maximum(one, other)).sum())
    return alike / max(1, total)


def main() -> None:
    """Print the measured rows, the checks, and one column per layout."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("tables", nargs="*", type=Path, help=".parquet or .jsonl of extracted rows")
    parser.add_argument("--rows", type=int, default=ROWS)
    options = parser.parse_args()
    rows = sketch(*read(options.tables))
    print(
        f"{len(rows.sizes):,} distinct answers of {rows.crates.max() + 1} crates, "
        f"{rows.sizes.mean():.0f} shingles each ({np.median(rows.sizes):.0f} in the middle), "
        f"{len(rows.near[0]):,} pairs at Jaccard {JACCARD}"
    )
    print(
        "\nPairs of different crates in a band: expected by the exact self-join, counted, of a"
        "\nsimulation of as many rows, and of a fit on half of the crates; then the largest bucket."
        f"\n{'':<10}{'expected':>12}{'counted':>12}{'simulated':>12}{'from half':>12}"
        f"{'largest':>12}{'simulated':>12}{'from half':>12}"
    )
    columns = {layout: report(rows, layout, options.rows) for layout in LAYOUTS}
    print(f"\n{f'{options.rows:,} rows':<28}" + "".join(f"{b} x {r:<9}" for b, r in columns))
    for name in next(iter(columns.values())):
        print(f"{name:<28}" + "".join(f"{column[name]:<14.3g}" for column in columns.values()))


if __name__ == "__main__":
    main()
