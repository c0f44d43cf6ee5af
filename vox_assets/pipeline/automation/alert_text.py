"""Words an alert: its title, its lines and their order. Reads nothing from the instance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel

from vox_assets.extract import NO_COMMIT
from vox_assets.pipeline.resources.notifier import Tone

#: How a subject fails: a step or check without a result crashed; a run that has not ended in time
#: is hung; an asset that was not built in time is overdue.
Kind = Literal["crashed", "failed", "hung", "overdue", "warned"]

#: Maximum number of lines in one message; the UI has the others.
MAX_LINES = 20
#: Maximum length of a failure's detail.
DETAIL_CHARACTERS = 200
#: A title names at most this many builds.
_NAMED_BUILDS = 3
#: Characters of a run id that the UI shows.
_ID_CHARACTERS = 8

#: Start of the subject of a run that takes longer than usual; the name of the job follows.
LATE = "late run of "
#: Start of the subject of an asset that must be built regularly; the name of the asset follows.
FRESHNESS = "freshness "

#: The first word of a line, in the order of the lines.
_WORDS: dict[Kind, str] = {
    "crashed": "CRASHED",
    "failed": "FAILED",
    "hung": "HUNG",
    "overdue": "OVERDUE",
    "warned": "WARNING",
}


class Problem(BaseModel):
    """A failure that was reported to the channel and has not recovered."""

    severity: str
    #: The default is for states that an older version stored.
    kind: Kind = "failed"
    detail: str
    commit: str
    run_id: str = ""
    #: Number of runs in which the subject failed.
    times: int = 1
    #: Time of the last report to the channel.
    told_at: float


@dataclass(frozen=True)
class Stopped:
    """A run that ended before it built all of its assets."""

    run_id: str
    job: str
    #: Assets that the run did not build, in the order of their steps.
    assets: tuple[str, ...]


@dataclass
class Message:
    """The message of one tick: new failures, repeated failures and recoveries."""

    #: Runs of the failures that did not build all of their assets, by id.
    stopped: dict[str, Stopped] = field(default_factory=dict)
    new: list[tuple[str, Problem]] = field(default_factory=list)
    repeated: list[tuple[str, Problem]] = field(default_factory=list)
    recovered: list[tuple[str, Problem]] = field(default_factory=list)

    @property
    def tone(self) -> Tone:
        severities = {problem.severity for _, problem in [*self.new, *self.repeated]}
        if "ERROR" in severities:
            return "failure"
        return "warning" if severities else "success"

    def title(self, host: str, profile: str) -> str:
        """Return what was not built, the numbers of failures, and where they happened."""
        kinds = [problem.kind for _, problem in self.new]
        counts = [
            f"{kinds.count(kind)} {_counted(kind, kinds.count(kind))}"
            for kind in _WORDS
            if kind in kinds
        ]
        if self.repeated:
            counts.append(f"{len(self.repeated)} not recovered")
        if self.recovered:
            counts.append(f"{len(self.recovered)} recovered")
        unbuilt = list(dict.fromkeys(a for run in self.stopped.values() for a in run.assets))
        head = f"{_and_more(unbuilt)} not built: " if unbuilt else ""
        place = ", ".join(["vox-assets", f"host {host}", f"profile {profile}", *self._builds()])
        return f"{head}{', '.join(counts)} ({place})"

    def _builds(self) -> list[str]:
        problems = [problem for _, problem in [*self.new, *self.repeated, *self.recovered]]
        ids = list(dict.fromkeys(p.run_id[:_ID_CHARACTERS] for p in problems if p.run_id))
        if len(ids) > _NAMED_BUILDS:
            return [f"{len(ids)} builds"]
        return [f"build{'s' * (len(ids) > 1)} {' '.join(ids)}"] if ids else []

    def body(self, ui_url: str) -> str:
        """Return one line for each subject: what was stopped first, recoveries last."""
        lines = [
            f"NOT BUILT {', '.join(run.assets)}: build {run.run_id[:_ID_CHARACTERS]} of job "
            f"{run.job} ended before; {ui_url}/runs/{run.run_id}"
            for run in self.stopped.values()
        ]
        order = list(_WORDS)
        for subject, problem in sorted(self.new, key=lambda item: order.index(item[1].kind)):
            lines.append(
                f"{_WORDS[problem.kind]} {_name(subject)}: {problem.detail}; {_since(problem)}; "
                f"{_link(subject, problem, ui_url)}"
            )
        lines += [
            f"STILL {_WORDS[problem.kind]} {_name(subject)}{_times(problem)}: {problem.detail}; "
            f"{_since(problem)}; {_link(subject, problem, ui_url)}"
            for subject, problem in self.repeated
        ]
        lines += [
            f"RECOVERED {_recovery(subject, problem)}; {_link(subject, problem, ui_url)}"
            for subject, problem in self.recovered
        ]
        if len(lines) > MAX_LINES:
            lines = [*lines[:MAX_LINES], f"and {len(lines) - MAX_LINES} more: {ui_url}/runs"]
        return "\n".join(lines)

    def __bool__(self) -> bool:
        return bool(self.new or self.repeated or self.recovered)

    def add(
        self,
        to: list[tuple[str, Problem]],
        subject: str,
        problem: Problem,
        stopped: Stopped | None,
    ) -> None:
        """Add a failure to `new` or `repeated`, with what it stopped. A warning stops nothing."""
        to.append((subject, problem))
        if stopped is not None and problem.severity == "ERROR":
            self.stopped[stopped.run_id] = stopped

    def forget(self, subject: str) -> None:
        """Remove a subject that has failed and recovered since the last message."""
        self.new = [item for item in self.new if item[0] != subject]
        self.repeated = [item for item in self.repeated if item[0] != subject]
        failed = {problem.run_id for _, problem in [*self.new, *self.repeated]}
        self.stopped = {key: run for key, run in self.stopped.items() if key in failed}


def shortened(text: str) -> str:
    """Return the whole words that fit into the detail of a failure."""
    if len(text) <= DETAIL_CHARACTERS:
        return text
    words, _, cut = text[: DETAIL_CHARACTERS + 1].rpartition(" ")
    return f"{words or cut} ..."


def _counted(kind: Kind, count: int) -> str:
    plural: Mapping[Kind, str] = {"warned": "warning" + "s" * (count != 1)}
    return plural.get(kind, kind)


def _and_more(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _name(subject: str) -> str:
    return subject.removeprefix(LATE).removeprefix(FRESHNESS)


def _times(problem: Problem) -> str:
    """Return how often a subject failed; of a state, which lasts, nothing."""
    return f", {problem.times} times" if problem.times > 1 else ""


def _since(problem: Problem) -> str:
    if problem.commit == NO_COMMIT:
        return "in a tree that is not in git"
    return f"since commit {problem.commit}"


def _recovery(subject: str, problem: Problem) -> str:
    name = _name(subject)
    if subject.startswith(LATE):
        return f"{name}: the run that took longer than usual has ended"
    if subject.startswith(FRESHNESS):
        return f"{name}: it was built"
    failures = "warning" if problem.kind == "warned" else "failure"
    verb = "passes" if subject.startswith("check ") else "succeeds"
    plural = "s" * (problem.times != 1)
    return f"{name} {verb} again after {problem.times} {failures}{plural} {_since(problem)}"


def _link(subject: str, problem: Problem, ui_url: str) -> str:
    if problem.run_id:
        return f"{ui_url}/runs/{problem.run_id}"
    if subject.startswith(FRESHNESS):
        return f"{ui_url}/assets/{_name(subject)}"
    return f"{ui_url}/runs"
