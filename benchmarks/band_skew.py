"""Estimates how the buckets of near-duplicate bands grow: `python benchmarks/band_skew.py`.

Reads answers (tables of `vox-assets extract`, or the bundled workspace), sketches them with the
permutations of `curate.similarity`, and estimates for several band layouts how many buckets,
candidate pairs and very large buckets a hundred million rows would have.

The sampling unit is a crate, because repetition inside one crate predicts nothing about another
crate. The numbers of crates per bucket key give the distribution of key frequencies among all
crates: the nonparametric maximum likelihood of a Poisson mixture (Kiefer and Wolfowitz 1956, by EM
as in Laird 1978). The number of rows that a crate has in a bucket is drawn from the observed
numbers. Buckets are then simulated at the requested number of rows: all of the frequent keys and a
sample of the many rare keys, so that a run takes a minute. Two checks show the accuracy: a
simulation at the measured size, and a fit on half of the crates that predicts all of them.
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
from vox_assets.curate.copies import normalise
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
#: (bands, rows per band) with at most 128 permutations: ours, and layouts of other sensitivity.
LAYOUTS = ((32, 4), (BANDS, BAND_ROWS), (21, 6), (16, 8))
#: A larger bucket would be split into pieces of this size or skipped: a thousand rows are half a
#: million pairs, some seconds of one core.
BUCKET_CAP = 1_000
#: Simulated buckets per frequency (fewer if they are large), each weighted for similar buckets.
SAMPLED_BUCKETS, SAMPLED_CRATES, FEWEST_BUCKETS = 20_000, 2_000_000, 16
#: A key is common from this number of crates; common keys also have more rows within a crate.
COMMON_CRATES = 4
#: Number of frequencies in the mixture, spaced evenly in the logarithm, and EM steps of the fit.
FREQUENCIES, STEPS = 120, 3_000
JACCARD = 0.8
#: Odd factors that combine the hashes of a band into 64 bits.
_KEY_FACTORS = np.random.default_rng(SEED).integers(1, 2**63, 16, np.uint64) * 2 + 1
#: Four times the permutations of dedup. Chance decides which bands fall on a common shingle, and
#: about 25 bands are too few to measure it.
PERMUTATIONS = 512
#: Less similar pairs share a bucket in fewer than one of a million bands.
JOIN_FROM = 0.03


@dataclass(frozen=True)
class Rows:
    """Distinct answers: `signatures` uint32 (rows, PERMUTATIONS), crate numbers, shingle counts.

    `joined` are all pairs with a Jaccard similarity from JOIN_FROM, computed without sketches.
    """

    signatures: np.ndarray
    crates: np.ndarray
    sizes: np.ndarray
    joined: SimilarPairs

    def filtered(self, keep: np.ndarray) -> Rows:
        """Return the rows where `keep` is true, without pairs."""
        no_pairs = SimilarPairs.of(np.empty(0), np.empty(0), np.empty(0))
        return Rows(self.signatures[keep], self.crates[keep], self.sizes[keep], no_pairs)

    @property
    def near(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the row numbers of near-duplicate pairs."""
        near = self.joined.similarity >= JACCARD
        return self.joined.left[near], self.joined.right[near]

    def across(self, band_rows: int) -> float:
        """Estimate the pairs of different crates that share a bucket of a band.

        This is the mean over all permutations.
        """
        differ = self.crates[self.joined.left] != self.crates[self.joined.right]
        return float((self.joined.similarity[differ] ** band_rows).sum())


@dataclass(frozen=True)
class Buckets:
    """The buckets of all bands of a layout: rows of each key and crate, in the order of keys."""

    bands: int
    #: For each (key, crate): the number of the key, and the rows of the crate in its bucket.
    keys: np.ndarray
    bursts: np.ndarray

    @property
    def spread(self) -> np.ndarray:
        """Count the crates of each key."""
        return np.bincount(self.keys)

    @property
    def rows(self) -> np.ndarray:
        """Count the rows of each key."""
        return np.bincount(self.keys, weights=self.bursts)

    @property
    def across(self) -> float:
        """Count the pairs of rows from different crates per band."""
        return float(
            (_pairs(self.rows).sum() - _pairs(self.bursts.astype(float)).sum()) / self.bands
        )


@dataclass(frozen=True)
class Drawn:
    """Simulated buckets of one band: `sizes` in rows; each represents `weights` similar buckets."""

    sizes: np.ndarray
    #: Pairs of rows from the same crate in each bucket.
    within: np.ndarray
    weights: np.ndarray

    @property
    def across(self) -> float:
        """Count the pairs of rows from different crates."""
        return float((self.weights * (_pairs(self.sizes) - self.within)).sum())


def _pairs(sizes: np.ndarray) -> np.ndarray:
    return sizes * (sizes - 1.0) / 2


def read(tables: list[Path]) -> tuple[list[str], list[str]]:
    """Read answers and their crates from extracted tables or the bundled workspace."""
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
    """Sketch the distinct answers, because dedup removes equal answers before it uses bands."""
    from datasketch import MinHash

    first = {normalise(text): number for number, text in reversed(list(enumerate(answers)))}
    order = sorted(first.values())
    all_shingles = shingle([normalise(answers[number]) for number in order])
    nonempty = np.flatnonzero(all_shingles.sizes > 0)
    sizes = all_shingles.sizes[nonempty]
    shingles = Shingles(np.concatenate(([0], np.cumsum(sizes))), all_shingles.hashes)
    hashes = (shingles.hashes >> np.uint64(HASH_BITS - 32)).astype(np.uint32)
    sketches = MinHash.bulk(
        (hashes[start:end].tolist() for start, end in pairwise(shingles.bounds)),
        num_perm=PERMUTATIONS,
        seed=MINHASH_SEED,
        hashfunc=lambda value: value,
    )
    crate_numbers = np.unique([crates[order[row]] for row in nonempty], return_inverse=True)[1]
    signatures = np.stack([sketch.hashvalues for sketch in sketches]).astype(np.uint32)
    return Rows(signatures, crate_numbers, sizes, exact_pairs(shingles, JOIN_FROM))


def band_keys(signatures: np.ndarray, band_rows: int) -> Iterator[np.ndarray]:
    """Yield for each band the key number of every row, from 0."""
    for band in range(PERMUTATIONS // band_rows):
        part = signatures[:, band * band_rows : (band + 1) * band_rows].astype(np.uint64)
        yield np.unique(part @ _KEY_FACTORS[:band_rows], return_inverse=True)[1]


def buckets(rows: Rows, band_rows: int) -> Buckets:
    """Count the rows of each key and crate in all bands."""
    keys: list[np.ndarray] = []
    bursts: list[np.ndarray] = []
    key_count = 0
    crates = int(rows.crates.max()) + 1
    for numbers in band_keys(rows.signatures, band_rows):
        key_crates, counts = np.unique(numbers * crates + rows.crates, return_counts=True)
        keys.append(key_crates // crates + key_count)
        bursts.append(counts)
        key_count += int(numbers.max()) + 1
    return Buckets(PERMUTATIONS // band_rows, np.concatenate(keys), np.concatenate(bursts))


@dataclass(frozen=True)
class Mixture:
    """The distribution of key frequencies: a draw has each of `keys[i]` keys with `frequency[i]`.

    A draw is the presence of a crate in a bucket; `rows` rows have `draws` draws per band.
    """

    frequency: np.ndarray
    keys: np.ndarray
    draws: float
    rows: int

    def expected(self, spread: np.ndarray) -> np.ndarray:
        """Return the mean frequency of keys that occur in `spread` crates."""
        weights = self.keys * _poisson(spread[:, None], self.draws * self.frequency)
        return (weights * self.frequency).sum(axis=1) / weights.sum(axis=1)


def _poisson(count: np.ndarray, mean: np.ndarray) -> np.ndarray:
    logarithm = np.array([math.lgamma(value + 1.0) for value in np.ravel(count)])
    return np.exp(count * np.log(mean) - mean - logarithm.reshape(np.shape(count)))


def fit(observed: Buckets, rows: int) -> Mixture:
    """Fit the mixture by maximum likelihood; its keys include unobserved keys."""
    spread = np.bincount(observed.spread)
    seen = np.flatnonzero(spread[1:]) + 1
    counts = spread[seen].astype(float)
    draws = len(observed.keys) / observed.bands
    # The data do not distinguish lower frequencies: such keys occur in one crate only.
    frequency = np.geomspace(0.002, 2.0 * seen.max(), FREQUENCIES) / draws
    likelihood = _poisson(seen[:, None], draws * frequency)
    drawn = 1.0 - np.exp(-draws * frequency)
    share = np.full(FREQUENCIES, 1.0 / FREQUENCIES)
    for _ in range(STEPS):
        # Only keys with at least one draw are observed: a Poisson distribution truncated at zero.
        posterior = share * likelihood / drawn
        posterior /= posterior.sum(axis=1, keepdims=True)
        share = counts @ posterior / counts.sum()
    return Mixture(frequency, share * counts.sum() / drawn, draws, rows)


def draw(mixture: Mixture, observed: Buckets, rows: int, rng: np.random.Generator) -> Drawn:
    """Simulate the buckets of one band for `rows` rows.

    The number of crates follows the frequency of the key. The number of rows per crate is drawn
    from observed keys that several crates share: an idiom that is frequent in one crate is frequent
    in others too, but repetition in a single crate does not predict other crates.
    """
    spread = observed.spread
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
        candidates = np.flatnonzero(shared if shared.any() else spread > 1)
        crates = rng.poisson(draws * frequency, drawn)
        model = np.repeat(rng.choice(candidates, drawn), crates)
        offsets = (rng.random(len(model)) * spread[model]).astype(int)
        bursts = observed.bursts[starts[model] + offsets]
        owner = np.repeat(np.arange(drawn), crates)
        parts.append(
            (
                np.bincount(owner, bursts, drawn),
                np.bincount(owner, _pairs(bursts.astype(float)), drawn),
                np.full(drawn, keys / observed.bands / drawn),
            )
        )
    return Drawn(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def half_of(rows: Rows, rng: np.random.Generator) -> Rows:
    """Return the rows of a random half of the crates."""
    crates = rng.permutation(int(rows.crates.max()) + 1)
    return rows.filtered(np.isin(rows.crates, crates[: len(crates) // 2]))


def recall_below_cap(rows: Rows, layout: tuple[int, int], mixture: Mixture, growth: float) -> float:
    """Return the share of near pairs that share a bucket that stays below the cap after growth."""
    left, right = rows.near
    if not len(left):
        return math.nan
    recalled = np.zeros(len(left), bool)
    bands, band_rows = layout
    for numbers in islice(band_keys(rows.signatures, band_rows), bands):
        counts = np.bincount(numbers)
        spread = np.bincount(
            np.unique(numbers * (rows.crates.max() + 1) + rows.crates) // (rows.crates.max() + 1)
        )
        frequency = mixture.expected(spread)
        large = frequency * mixture.draws * growth * counts / spread > BUCKET_CAP
        shared = numbers[left] == numbers[right]
        recalled |= shared & ~large[numbers[left]]
    return float(recalled.mean())


def report(rows: Rows, layout: tuple[int, int], target_rows: int) -> dict[str, float]:
    """Print the checks of a layout, and return its figures at `target_rows` rows for all bands."""
    bands, band_rows = layout
    rng = np.random.default_rng([SEED, bands])
    observed = buckets(rows, band_rows)
    if observed.spread.max() < 2:
        raise SystemExit("band_skew: no two crates share a bucket: expected more rows or crates")
    mixture = fit(observed, len(rows.sizes))
    half = half_of(rows, rng)
    observed_half = buckets(half, band_rows)
    if observed_half.spread.max() < 2:
        raise SystemExit("band_skew: no two crates of a half share a bucket: expected more crates")
    predicted = draw(fit(observed_half, len(half.sizes)), observed_half, len(rows.sizes), rng)
    simulated = draw(mixture, observed, len(rows.sizes), rng)
    pair_counts = (rows.across(band_rows), observed.across, simulated.across, predicted.across)
    largest_sizes = (observed.rows.max(), simulated.sizes.max(), predicted.sizes.max())
    figures = "".join(f"{figure:>12,.0f}" for figure in (*pair_counts, *largest_sizes))
    print(f"{f'{bands} x {band_rows}':<10}{figures}", flush=True)
    large = draw(mixture, observed, target_rows, rng)
    order = np.argsort(-large.sizes)
    sizes, weights = large.sizes[order], large.weights[order]
    pairs = weights * _pairs(sizes)
    shared = sizes > 1
    rank = np.cumsum(weights)
    # The simulation has more bands than the layout: the largest bucket has rank 1 in all its bands.
    largest = sizes[np.searchsorted(bands * rank, 1.0)]
    pieces = np.maximum(1, np.ceil(sizes / BUCKET_CAP))
    return {
        "recall at .8": 1 - (1 - JACCARD**band_rows) ** bands,
        "buckets of 2+": bands * weights[shared].sum(),
        "pairs": bands * pairs.sum(),
        "pairs by the square": bands
        * rows.across(band_rows)
        * (target_rows / len(rows.sizes)) ** 2,
        "largest bucket": largest,
        "its pairs": _pairs(largest),
        "pairs in the top 100": pairs[rank <= 100 / bands].sum() / pairs.sum(),
        "pairs in the top 0.01 %": pairs[rank <= 1e-4 * weights[shared].sum()].sum() / pairs.sum(),
        "buckets over the cap": bands * weights[sizes > BUCKET_CAP].sum(),
        "pairs under the cap": bands * pairs[sizes <= BUCKET_CAP].sum(),
        "pairs in pieces": bands * (weights * pieces * _pairs(sizes / pieces)).sum(),
        "near pairs under the cap": recall_below_cap(
            rows, layout, mixture, target_rows / len(rows.sizes)
        ),
        "pairs of similar sizes": share_of_similar_sizes(rows, layout),
    }


def share_of_similar_sizes(rows: Rows, layout: tuple[int, int]) -> float:
    """Return the share of candidates of different crates whose sizes allow the threshold."""
    similar = total = 0
    for numbers in band_keys(rows.signatures, layout[1]):
        order = np.argsort(numbers, kind="stable")
        keys, crates, sizes = numbers[order], rows.crates[order], rows.sizes[order]
        for step in range(1, int(np.bincount(numbers).max())):
            pair = (keys[step:] == keys[:-step]) & (crates[step:] != crates[:-step])
            left, right = sizes[step:][pair], sizes[:-step][pair]
            total += len(left)
            smaller, larger = np.minimum(left, right), np.maximum(left, right)
            similar += int((smaller >= JACCARD * larger).sum())
    return similar / max(1, total)


def main() -> None:
    """Print the measured rows, the checks, and a column of figures per layout."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument(
        "tables", nargs="*", type=Path, help="tables of extracted rows, .parquet or .jsonl"
    )
    parser.add_argument("--rows", type=int, default=ROWS, help="number of rows to simulate")
    options = parser.parse_args()
    rows = sketch(*read(options.tables))
    print(
        f"{len(rows.sizes):,} distinct answers of {rows.crates.max() + 1} crates, "
        f"{rows.sizes.mean():.0f} shingles each (median {np.median(rows.sizes):.0f}), "
        f"{len(rows.near[0]):,} pairs at Jaccard {JACCARD}"
    )
    print(
        "\nPairs of different crates per band: expected from the exact self-join, counted,"
        "\nsimulated for the same number of rows, and predicted by a fit on half of the crates;"
        "\nthen the size of the largest bucket: counted, simulated and predicted."
        f"\n{'':<10}{'expected':>12}{'counted':>12}{'simulated':>12}{'from half':>12}"
        f"{'largest':>12}{'simulated':>12}{'from half':>12}"
    )
    columns = {layout: report(rows, layout, options.rows) for layout in LAYOUTS}
    print(f"\n{f'{options.rows:,} rows':<28}" + "".join(f"{b} x {r:<9}" for b, r in columns))
    for name in next(iter(columns.values())):
        print(f"{name:<28}" + "".join(f"{column[name]:<14.3g}" for column in columns.values()))


if __name__ == "__main__":
    main()
