"""Profiles: what a project decides about its corpus and its adapter, as one YAML file.

The schema of a profile and its loader belong here. Values that never differ between projects
are named constants beside the code that uses them, and paths and services are settings.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from vox_assets.contract.rows import LANES, Lane, ResponseMode, SourceKind

PROFILE_DIR = Path(__file__).parent

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


#: The arm of an ablation that every other arm is compared with: the training mix as it is.
CURATED = "curated"


class ProfileError(ValueError):
    """A profile that is missing, unreadable or has an invalid value."""


class Policy(BaseModel):
    """Base of every part of a profile: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


#: Names with a fixed meaning as the first folder of a path: templates, tests and build output.
RESERVED_NAMES = frozenset({"synthesize", "tests", "benches", "target"})


class Repository(Policy):
    """A source root. Its name is the prefix of the paths and categories of its rows."""

    #: Lower-case name, used in paths and questions.
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    #: A directory with `crates/`, `docs/src/` or both; relative to VOX_SOURCE_DIR, or absolute.
    root: Annotated[str, Field(pattern=r"^[^\x00]+$")]


def _below(path: str) -> str:
    if not path or any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
        raise ValueError(
            f"{path!r} is no path below a source root: expected one such as crates or docs/src"
        )
    return path


Below = Annotated[str, AfterValidator(_below)]


class Folders(Policy):
    """Where the sources are, below each source root."""

    #: Folders of Rust code: of a workspace `crates`, of a single crate `src`. Empty for none.
    rust: tuple[Below, ...] = ("crates",)
    #: Folders and files of Markdown; empty for none. Where it is not set, the folder that book.toml
    #: names, else `docs/src`.
    docs: tuple[Below, ...] | None = None

    @model_validator(mode="after")
    def _no_file_is_read_twice(self) -> Folders:
        for kind, folders in (("rust", self.rust), ("docs", self.docs or ())):
            for place, one in enumerate(folders):
                for other in (*folders[:place], *folders[place + 1 :]):
                    if f"{one}/".startswith(f"{other}/"):
                        raise ValueError(
                            f"folders.{kind}: {one!r} is inside {other!r}: expected folders that "
                            f"share no files"
                        )
        return self


#: The folders of a Vox workspace.
DEFAULT_FOLDERS = Folders()


class Grammar(Policy):
    """A tree-sitter grammar from an installed package, which checks syntax."""

    #: Name of the Python module, such as `tree_sitter_rust`.
    grammar: Annotated[str, Field(pattern=r"^tree_sitter_\w+$")]


class Command(Policy):
    """A program that checks a file: exit code 0 accepts it."""

    #: The program and its arguments; the path of the file follows.
    command: tuple[str, ...] = Field(min_length=1)
    #: Ending of the file, such as `.nu`.
    extension: Annotated[str, Field(pattern=r"^\.[\w.]+$")]


def _kind_of_front_end(value: object) -> str:
    if isinstance(value, Grammar) or (isinstance(value, dict) and "grammar" in value):
        return "grammar"
    return "command" if isinstance(value, (Command, dict)) else "name"


#: The kind is decided first, so that an error names the field of that kind.
FrontEndChoice = Annotated[
    Annotated[Literal["vox", "none"], Tag("name")]
    | Annotated[Grammar, Tag("grammar")]
    | Annotated[Command, Tag("command")],
    Discriminator(_kind_of_front_end),
]


class LaneRule(Policy):
    """A rule that selects a lane. The first match wins; an omitted pattern matches everything."""

    #: Lane of the rows that match.
    lane: Lane
    #: Kind of source that matches: `rust`, `docs` or `synthetic`.
    source: SourceKind | None = None
    #: Kind of answer that matches: `code_only` or `prose_only`.
    mode: ResponseMode | None = None
    #: Shell patterns over the repository's and the crate's name and the path below the root.
    repository: str = "*"
    crate: str = "*"
    path: str = "*"


class Yields(Policy):
    """Number of rows expected of each source asset; a lower number gives a warning."""

    #: Rows from Rust code.
    raw_rust_fns: Count
    #: Rows from pages.
    doc_qa_pairs: Count
    #: Rows without a human author.
    synthetic_pairs: Count


class Size(Policy):
    """Number of distinct rows that a lane needs before it may be trained."""

    #: `style` accepts 400 rows, `domain` asks for 1,000: see SIZE_FLOORS in mix.size.
    tier: Literal["style", "domain"]


class Synthesis(Policy):
    """Number of synthetic rows to make, before dedup."""

    #: Another seed gives other rows.
    seed: int
    #: Vox programs from templates and live code.
    programs: Count
    #: Dialogues of several turns.
    dialogues: Count
    #: Programs with a fault to correct.
    repairs: Count


class Budget(Policy):
    """Limits of one step at the language model's endpoint, per run."""

    #: HTTP requests, including retries.
    requests: Count
    #: Tokens of questions and answers together.
    tokens: Count
    #: Requests in parallel.
    concurrency: Annotated[int, Field(ge=1, le=64)]


class Uplift(Policy):
    """Questions to a language model that turn raw facts into rows, where an endpoint is set."""

    #: Number of questions; answers in the cache do not count against the budget.
    questions: Count
    #: Largest number of tokens of an answer: a dialogue of four answers takes some two thousand.
    answer_tokens: Annotated[int, Field(ge=64)]
    budget: Budget


class Judge(Policy):
    """Rows that a language model judges, where an endpoint is set."""

    #: Rows spread evenly over the scores, then the kept rows nearest to the threshold.
    rows: Count
    budget: Budget


class Dedup(Policy):
    """Similarity from which two rows count as duplicates."""

    #: Jaccard similarity of token shingles, for all texts.
    near_jaccard: Share
    #: Cosine of the embeddings of prose.
    semantic_prose: Share
    #: Cosine of the embeddings of code.
    semantic_code: Share
    #: Code with similar embeddings is a duplicate only at this Jaccard similarity or above.
    semantic_code_jaccard: Share


class Scoring(Policy):
    """Thresholds and weights of the score."""

    #: Rows with a lower score, from 1 to 10, are dropped.
    threshold: Annotated[float, Field(ge=1, le=10)]
    #: Rows in the hardest share of their lane and language, by perplexity, are discarded.
    perplexity_quantile: Share
    #: Tokens of prompt plus answer that the language model reads of a row.
    model_tokens: Annotated[int, Field(ge=64)]
    #: Log-odds subtracted at the lowest value of a feature, for features that mutants cannot fit.
    weights: dict[str, Annotated[float, Field(ge=0)]] = {}


class Mix(Policy):
    """Composition of the training mix."""

    #: Lanes that are trained.
    lanes: tuple[Lane, ...] = Field(min_length=1)
    #: Largest number of tokens of a row.
    context: Annotated[int, Field(ge=128)]
    #: Largest number of tokens of the training rows together.
    token_budget: Annotated[int, Field(ge=1)]
    #: Share of the rows that is held out, by whole source files.
    eval_share: Annotated[float, Field(gt=0, lt=0.5)]
    #: Largest number of rows that are held out.
    eval_rows: Annotated[int, Field(ge=1)]
    #: Largest share of the training rows in a language.
    language_caps: dict[str, Share] = {}
    #: Largest share of one task family.
    task_family_cap: Share = 1.0
    #: Largest share of one category, such as a crate.
    category_cap: Share = 1.0
    #: Largest share of one repository.
    repository_cap: Share = 1.0
    #: Share of rows by people, below which a check warns.
    human_share_floor: Share = 0.0


class RankTier(Policy):
    """A line of the rank table. It applies to training sets up to both of its bounds.

    Many short rows and few long rows need the same capacity, so tokens are bounded too.
    """

    #: Largest number of training rows; absent in the last line.
    rows_up_to: int | None = None
    #: Largest number of tokens of their answers.
    response_tokens_up_to: int | None = None
    #: Rank of the adapter.
    rank: Annotated[int, Field(ge=1)]
    #: Scale of the adapter.
    alpha: Annotated[int, Field(ge=1)]
    #: Highest learning rate.
    learning_rate: Annotated[float, Field(gt=0)]
    #: Passes over the training rows.
    epochs: Annotated[float, Field(gt=0)]
    #: Why; recorded with the adapter.
    reason: str


class Training(Policy):
    """The budget of one training run."""

    #: Seed of the order of rows and of the weights.
    seed: int
    #: Optimiser steps after which the training ends.
    max_steps: Annotated[int, Field(ge=1)]
    #: Seconds after which the training ends.
    max_seconds: Annotated[int, Field(ge=1)]
    #: Tokens in a packed block, and blocks in an optimiser step.
    block_tokens: Annotated[int, Field(ge=64)]
    blocks_per_step: Annotated[int, Field(ge=1)]
    #: Steps between two evaluations on held-out rows.
    eval_every_steps: Annotated[int, Field(ge=1)]
    #: Evaluations without a lower held-out loss after which the training ends; it then keeps the
    #: weights of the lowest loss. None: it uses its whole budget and keeps its last weights, for
    #: profiles where the exam decides.
    patience: Annotated[int, Field(ge=1)] | None


class Evaluation(Policy):
    """Limits that an adapter must meet on held-out rows."""

    #: Answers that are generated to measure their form.
    generations: Count
    #: Largest number of tokens of such an answer.
    generation_tokens: Annotated[int, Field(ge=1)]
    #: Largest share of the gain on training rows that may be missing on held-out rows.
    max_overfit_gap: Annotated[float, Field(ge=0)]
    #: Least difference of the parse rates of adapter and base, for the whole interval. A negative
    #: value allows the adapter to be worse by at most that much.
    min_parse_rate_gain: float = 0.0
    #: Largest share of answers of code that hold prose, with its whole interval.
    max_prose_share: Share
    #: Largest relative rise of the loss on rows of lanes that were not trained.
    max_forgetting: Annotated[float, Field(ge=0)]


class Exam(Policy):
    """The exam: number of tasks, answers per task, and what decides about promotion."""

    #: Number of tasks of each kind; fewer where templates or sources do not give more.
    familiar: Count
    new_variant: Count
    new_construct: Count
    live: Count
    #: Largest number of tokens of an answer.
    answer_tokens: Annotated[int, Field(ge=16)]
    #: Sampled answers per task and arm for pass@k, besides the greedy answer.
    samples: Count = 0
    #: Temperature of the sampled answers.
    temperature: Annotated[float, Field(gt=0)] = 0.8
    #: The exam or the loss decides between two adapters.
    decides: Literal["exam", "loss"]
    #: Rungs on which the adapter must be better than the base model, with and without help.
    rungs: tuple[Literal["ends", "code_only", "parses", "declares", "behaves"], ...] = Field(
        min_length=1
    )
    #: Largest drop of these shares against the promoted adapter; the whole interval must stay
    #: above it.
    margin: Share
    #: Why `decides`, `rungs` and `margin` have these values.
    reason: str

    @property
    def tasks(self) -> int:
        """Return the number of tasks of all kinds."""
        return self.familiar + self.new_variant + self.new_construct + self.live

    @model_validator(mode="after")
    def _an_exam_that_decides_has_tasks(self) -> Exam:
        if self.decides == "exam" and not self.tasks:
            raise ValueError(
                "exam: decides is exam, but there are no tasks: expected decides: loss"
            )
        return self


class Arm(Policy):
    """One training of the ablation, with one factor changed against the mix and the rank table."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}$")]
    #: What differs and what the arm is to show.
    why: str
    #: `random` is a random sample of the raw rows with as many tokens as the mix.
    rows: Literal["mix", "random"] = "mix"
    #: Stages of the curation whose drops the arm takes back.
    without: tuple[Literal["dedup", "score"], ...] = ()
    #: Values that replace those of the profile and of the tier of its rank table.
    mix: dict[str, Any] = {}
    training: dict[str, Any] = {}
    rank: dict[str, Any] = {}


class Profile(Policy):
    """The whole policy of one project."""

    #: Name of the profile, recorded with everything that is built.
    name: str
    #: The project's name in questions; the language's name where it is not set.
    project: str | None = None
    #: The info string of the fences that are code rows.
    language: str
    #: What checks code of that language. `vox` is the Vox compiler or the built-in grammar, see
    #: VOX_FRONTEND. With `none`, rows of code have the task family `docs_code_unchecked`.
    frontend: FrontEndChoice = "vox"
    folders: Folders = DEFAULT_FOLDERS
    #: Licence of the sources, as a hub identifier: the exported dataset carries it.
    license: str
    #: In order of precedence: of equal rows from two repositories, the first repository's is kept.
    #: Empty where VOX_SOURCE_DIR is the only root.
    repositories: tuple[Repository, ...] = ()
    lane_rules: tuple[LaneRule, ...] = Field(min_length=1)
    yields: Yields
    size: Size
    synthesis: Synthesis
    uplift: Uplift
    dedup: Dedup
    scoring: Scoring
    judge: Judge
    mix: Mix
    ranks: tuple[RankTier, ...] = Field(min_length=1)
    training: Training
    evaluation: Evaluation
    exam: Exam
    #: Trainings that the job `ablate` compares, beside `curated`, which changes nothing.
    ablation: tuple[Arm, ...] = ()

    @model_validator(mode="after")
    def _the_front_end_knows_the_language(self) -> Profile:
        if self.language != "vox" and self.frontend == "vox":
            raise ValueError(
                f"frontend: vox checks Vox, but language is {self.language}: expected none, "
                f"grammar: tree_sitter_..., or command: [...] with an extension"
            )
        if self.language != "vox" and (synthesis := self.synthesis).programs + (
            synthesis.dialogues + synthesis.repairs
        ):
            raise ValueError(
                f"synthesis: its templates are Vox, but language is {self.language}: expected 0 "
                f"programs, dialogues and repairs"
            )
        return self

    @model_validator(mode="after")
    def _tables_cover_everything(self) -> Profile:
        last = self.lane_rules[-1]
        if last != LaneRule(lane=last.lane):
            raise ValueError(
                "lane_rules: the last rule has conditions: expected a lane only, for all other rows"
            )
        bounds = [tier.rows_up_to for tier in self.ranks]
        if bounds[-1] is not None or None in bounds[:-1]:
            raise ValueError(
                "ranks: rows_up_to: expected in every tier but the last, and not in the last"
            )
        if self.ranks[-1].response_tokens_up_to is not None:
            raise ValueError("ranks: the last tier has response_tokens_up_to: expected no bound")
        finite = [bound for bound in bounds if bound is not None]
        if finite != sorted(set(finite)):
            raise ValueError("ranks: rows_up_to: expected larger numbers from tier to tier")
        return self

    @model_validator(mode="after")
    def _repositories_have_distinct_names(self) -> Profile:
        names = [repository.name for repository in self.repositories]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"repositories: {name!r} is named twice: expected different names")
            if name in RESERVED_NAMES:
                raise ValueError(
                    f"repositories: {name!r} is a reserved name: expected none of "
                    f"{', '.join(sorted(RESERVED_NAMES))}"
                )
        for rule in self.lane_rules:
            if rule.repository != "*" and not fnmatch.filter(names, rule.repository):
                raise ValueError(
                    f"lane_rules: repository {rule.repository!r} matches no repository: "
                    f"expected a pattern that matches one of: {', '.join(names) or '(none)'}"
                )
        if self.mix.repository_cap < 1 and not names:
            raise ValueError(
                "mix.repository_cap: there are no repositories: expected named repositories"
            )
        return self

    @model_validator(mode="after")
    def _arms_change_what_exists(self) -> Profile:
        names = [CURATED, *(arm.name for arm in self.ablation)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"ablation: arm {name!r} is named twice: expected different names")
        for arm in self.ablation:
            try:
                self.for_arm(arm)
                for tier in self.ranks:
                    RankTier.model_validate({**tier.model_dump(), **arm.rank})
            except ValidationError as error:
                fault = error.errors(include_url=False)[0]
                field = ".".join(map(str, fault["loc"]))
                raise ValueError(f"ablation: arm {arm.name}: {field}: {fault['msg']}") from error
        return self

    def for_arm(self, arm: Arm) -> Profile:
        """Return the profile with an arm's changes to the mix and the training."""
        mix = Mix.model_validate({**self.mix.model_dump(), **arm.mix})
        training = Training.model_validate({**self.training.model_dump(), **arm.training})
        return self.model_copy(update={"mix": mix, "training": training})

    @property
    def language_name(self) -> str:
        """Return the name of the language in questions."""
        return self.language.capitalize()

    @property
    def project_name(self) -> str:
        """Return the name of the project in questions."""
        return self.project or self.language_name

    def locate(self, source_path: str) -> tuple[str, str]:
        """Split a row's `source_path` into the repository's name and the path below its root.

        The name is empty for a profile without repositories and for rows from templates.
        """
        name, _, path = source_path.partition("/")
        if any(repository.name == name for repository in self.repositories):
            return name, path
        return "", source_path

    def within(self, repository: str) -> Profile:
        """Return the profile for one repository, without rules for other repositories."""
        rules = tuple(
            rule.model_copy(update={"repository": "*"})
            for rule in self.lane_rules
            if fnmatch.fnmatchcase(repository, rule.repository)
        )
        return self.model_copy(update={"lane_rules": rules, "repositories": ()})

    def lane_for(self, source: SourceKind, mode: ResponseMode, path: str, crate: str = "") -> Lane:
        """Return the lane of a row made from `path`, which is relative to the repository's root.

        Rules for named repositories apply only after `within`.
        """
        for rule in self.lane_rules:
            if (
                rule.repository == "*"
                and rule.source in (None, source)
                and rule.mode in (None, mode)
                and fnmatch.fnmatchcase(crate, rule.crate)
                and fnmatch.fnmatchcase(path, rule.path)
            ):
                return rule.lane
        raise AssertionError("the last lane rule catches all")

    def with_lanes(self, lanes: Sequence[str]) -> Profile:
        """Return the profile with other lanes to train.

        Raises ProfileError for an empty list, a repeated lane and an unknown lane.
        """
        if not lanes or len(set(lanes)) != len(lanes) or not set(lanes) <= set(LANES):
            raise ProfileError(
                f"lanes {list(lanes)}: expected one or more different lanes of {', '.join(LANES)}"
            )
        return self.model_copy(update={"mix": self.mix.model_copy(update={"lanes": tuple(lanes)})})

    @property
    def digest(self) -> str:
        """Hex digest of the values; comments and layout of the file do not change it."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def available() -> list[str]:
    """Return the names of the bundled profiles."""
    return sorted(path.stem for path in PROFILE_DIR.glob("*.yaml"))


def load(name_or_path: str) -> Profile:
    """Read a bundled profile by name, or any profile by path.

    Raises ProfileError with one line that names the file, the field and what it accepts.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = PROFILE_DIR / f"{name_or_path}.yaml"
        if name_or_path not in available():
            raise ProfileError(
                f"profile {name_or_path!r} is unknown: expected one of "
                f"{', '.join(available())}, or a path that ends in .yaml"
            )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        detail = " ".join(str(error).split())
        raise ProfileError(f"profile {path} cannot be read as YAML: {detail}") from error
    if not isinstance(content, dict):
        raise ProfileError(f"profile {path}: expected a mapping, got {type(content).__name__}")
    try:
        return Profile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "profile"
        raise ProfileError(f"profile {path}: {field}: {first['msg']}") from error
