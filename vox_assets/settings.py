"""Reads the settings from the environment into one typed object.

No other module reads the project's variables. An invalid value is refused here, in one line that
names the variable and what it accepts.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from vox_assets import extras, profiles
from vox_assets.compute.models import RemoteModel
from vox_assets.extract import SourceError, SourceRoot, source_roots
from vox_assets.store.cache import DEFAULT_LIMIT
from vox_assets.store.lake import without_keys

if TYPE_CHECKING:
    import apprise

#: The bundled workspace in a checkout.
SAMPLE_WORKSPACE = Path("data/sample_workspace")
#: The folder above the package: the root of the checkout, unless the package comes from a wheel.
_ABOVE_PACKAGE = Path(__file__).resolve().parents[1]

VARIABLES = (
    "VOX_SOURCE_DIR",
    "VOX_DATA_DIR",
    "VOX_CACHE_LIMIT",
    "VOX_LAKE_URL",
    "VOX_PROFILE",
    "VOX_BASE_MODEL",
    "VOX_EMBEDDING_MODEL",
    "VOX_FRONTEND",
    "VOX_REWARD_MODEL",
    "VOX_LLM_BASE_URL",
    "VOX_LLM_MODEL",
    "VOX_LLM_API_KEY",
    "VOX_ALERT_URLS",
    "VOX_HEARTBEAT_URL",
    "VOX_UI_URL",
    "VOX_TIMEZONE",
    "RAY_ADDRESS",
    "DAGSTER_HOME",
    "DAGSTER_POSTGRES_URL",
)


#: The value of VOX_FRONTEND that selects the built-in grammar even where `vox` is on the path.
BUILT_IN = "builtin"
# Object stores that delta-rs and polars can both write to. Both read credentials from the
# environment.
LAKE_SCHEMES = ("s3", "gs", "az", "abfss")

# The Vox compiler reads hundreds of variables that start with VOX_. From this likeness on, none of
# them is taken for a misspelling (VOX_API_KEY, the nearest, reaches 0.8).
_LIKENESS = 0.82

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([kMGT]?)B?", re.IGNORECASE)


class SettingsError(ValueError):
    """An environment variable with an invalid value."""


@dataclass(frozen=True)
class Settings:
    """The paths, services and profile of a deployment. Paths are absolute."""

    source_dir: Path
    data_dir: Path
    profile: profiles.Profile
    #: The name or path that `profile` was loaded from.
    profile_reference: str = "sample"
    #: Largest size of each cache on disk, in bytes.
    cache_limit: int = DEFAULT_LIMIT
    #: URL of the object store that holds the tables; None where they are below `data_dir`.
    lake_url: str | None = None
    base_model: str | None = None
    embedding_model: str | None = None
    #: The compiler that checks Vox code; None for the built-in grammar.
    compiler: Path | None = None
    #: PATH for the programs that the compiler starts.
    search_path: str = os.defpath
    reward_model: str | None = None
    #: The language model that writes and judges rows; None where no endpoint is configured.
    language_model: RemoteModel | None = None
    alert_urls: tuple[str, ...] = ()
    #: URL that every tick and every build pings; None where no receiver is configured.
    heartbeat_url: str | None = None
    ui_url: str = "http://127.0.0.1:3000"
    timezone: str = "UTC"
    #: Address of the Ray cluster that runs heavy steps; None to run them on this machine.
    ray_address: str | None = None
    #: Home of the Dagster instance that DAGSTER_HOME names; None for the home below `data_dir`.
    named_dagster_home: Path | None = None
    #: Whether runs and events are in the PostgreSQL database of DAGSTER_POSTGRES_URL.
    with_postgres: bool = False

    @property
    def lake_uri(self) -> str:
        return self.lake_url or str(self.data_dir / "lake")

    @property
    def source_roots(self) -> tuple[SourceRoot, ...]:
        """Return the folders that sources are read from. Raises SourceError when one is missing.

        Checked here and not in `load_settings`, so that commands without sources work in any
        folder.
        """
        if not self.source_dir.is_dir():
            raise SourceError(_no_source_tree(self.source_dir))
        return source_roots(self.profile, self.source_dir)

    @property
    def own_dagster_home(self) -> Path:
        return self.data_dir / "dagster"

    @property
    def dagster_home(self) -> Path:
        return self.named_dagster_home or self.own_dagster_home

    @property
    def cache_dir(self) -> Path:
        return self.data_dir / "cache"

    @property
    def adapters_dir(self) -> Path:
        return self.data_dir / "adapters"

    @property
    def exports_dir(self) -> Path:
        return self.data_dir / "exports"

    @property
    def reports_dir(self) -> Path:
        return self.data_dir / "reports"


def _no_source_tree(source: Path, name: str = "VOX_SOURCE_DIR") -> str:
    return f"{name}: {source} is not a directory: expected a root that holds crates/ and docs/src/"


def load_settings(
    environment: Mapping[str, str] | None = None,
    *,
    source_dir: Path | None = None,
    profile_reference: str | None = None,
) -> Settings:
    """Read the settings. Raises SettingsError.

    `source_dir` and `profile_reference` are the arguments SOURCE and --profile of a command. They
    replace VOX_SOURCE_DIR and VOX_PROFILE.
    """
    env = os.environ if environment is None else environment
    _refuse_misspelt(env)
    values = {name: env.get(name, "").strip() or None for name in VARIABLES}

    source = (source_dir or Path(values["VOX_SOURCE_DIR"] or SAMPLE_WORKSPACE)).resolve()
    if source_dir is not None and not source.is_dir():
        raise SettingsError(_no_source_tree(source, "SOURCE"))
    if values["VOX_SOURCE_DIR"] is not None and not source.is_dir():
        raise SettingsError(_no_source_tree(source))
    data = Path(values["VOX_DATA_DIR"] or "data").resolve()
    if data.exists() and not data.is_dir():
        raise SettingsError(f"VOX_DATA_DIR: {data} is a file: expected a directory to write to")
    reference = profile_reference or values["VOX_PROFILE"] or _default_profile(source)
    try:
        profile = profiles.load(reference)
        if source.is_dir():
            source_roots(profile, source)
    except (profiles.ProfileError, SourceError) as error:
        name = "--profile" if profile_reference else "VOX_PROFILE"
        raise SettingsError(f"{name}: {error}") from error
    named_home = values["DAGSTER_HOME"]
    return Settings(
        source_dir=source,
        data_dir=data,
        profile=profile,
        profile_reference=reference,
        cache_limit=_cache_limit(values["VOX_CACHE_LIMIT"]),
        lake_url=_lake_url(values["VOX_LAKE_URL"]),
        base_model=values["VOX_BASE_MODEL"],
        embedding_model=values["VOX_EMBEDDING_MODEL"],
        compiler=find_compiler(env),
        search_path=search_path(env),
        reward_model=values["VOX_REWARD_MODEL"],
        language_model=_language_model(
            values["VOX_LLM_BASE_URL"], values["VOX_LLM_MODEL"], values["VOX_LLM_API_KEY"]
        ),
        alert_urls=_alert_urls(values["VOX_ALERT_URLS"]),
        heartbeat_url=_heartbeat_url(values["VOX_HEARTBEAT_URL"]),
        ui_url=_ui_url(values["VOX_UI_URL"]),
        timezone=_timezone(values["VOX_TIMEZONE"]),
        ray_address=_ray_address(values["RAY_ADDRESS"]),
        named_dagster_home=Path(named_home).resolve() if named_home else None,
        with_postgres=values["DAGSTER_POSTGRES_URL"] is not None,
    )


def in_effect(
    settings: Settings, environment: Mapping[str, str] | None = None
) -> dict[str, dict[str, str | None]]:
    """Return the value of every setting and where it is from, without keys and tokens."""
    env = os.environ if environment is None else environment
    remote = settings.language_model
    # An alert URL may hold a token.
    count = len(settings.alert_urls)
    channels = f"{count} channel{'s' * (count != 1)}" if count else None
    values: dict[str, str | None] = {
        "VOX_SOURCE_DIR": str(settings.source_dir),
        "VOX_DATA_DIR": str(settings.data_dir),
        "VOX_CACHE_LIMIT": f"{settings.cache_limit:,} bytes",
        "VOX_LAKE_URL": without_keys(settings.lake_uri),
        "VOX_PROFILE": settings.profile_reference,
        "VOX_BASE_MODEL": settings.base_model,
        "VOX_EMBEDDING_MODEL": settings.embedding_model,
        "VOX_FRONTEND": str(settings.compiler or BUILT_IN),
        "VOX_REWARD_MODEL": settings.reward_model,
        "VOX_LLM_BASE_URL": remote.base_url if remote else None,
        "VOX_LLM_MODEL": remote.name if remote else None,
        "VOX_LLM_API_KEY": "(secret)" if remote and remote.api_key else None,
        "VOX_ALERT_URLS": channels,
        # The URL of a receiver is its key.
        "VOX_HEARTBEAT_URL": "(secret)" if settings.heartbeat_url else None,
        "VOX_UI_URL": settings.ui_url,
        "VOX_TIMEZONE": settings.timezone,
        "RAY_ADDRESS": settings.ray_address,
        "DAGSTER_HOME": str(settings.dagster_home),
        "DAGSTER_POSTGRES_URL": "(secret)" if settings.with_postgres else None,
    }
    return {
        name: {
            "value": values[name],
            "from": "environment" if env.get(name, "").strip() else "default",
        }
        for name in VARIABLES
    }


def _refuse_misspelt(names: Iterable[str]) -> None:
    """Raise SettingsError for a variable whose name is nearly that of a setting."""
    for name in sorted(names):
        known = _meant(name)
        if known is not None:
            raise SettingsError(f"{name}: no such setting: did you mean {known}?")


def _meant(name: str) -> str | None:
    """Return the setting that a name misspells; None for a setting and for an unrelated name."""
    ours = {_letters(known): known for known in VARIABLES if known.startswith("VOX_")}
    letters = _letters(name)
    if name in ours.values() or not letters.startswith("VOX"):
        return None
    if letters in ours:
        return ours[letters]
    words = name.upper().split("_")
    for known in ours.values():
        parts = known.split("_")
        # A word is missing, or something follows, as in VOX_LLM_URL and VOX_SOURCE_DIRECTORY.
        shortened = len(words) > 1 and words[:2] == parts[:2] and set(words) <= set(parts)
        if shortened or name.upper().startswith(known):
            return known
    # Every name starts with VOX, so these letters do not count.
    tails = {known.removeprefix("VOX"): meant for known, meant in ours.items()}
    close = difflib.get_close_matches(letters.removeprefix("VOX"), tails, 1, _LIKENESS)
    return tails[close[0]] if close else None


def _letters(name: str) -> str:
    return name.upper().replace("_", "").replace("-", "")


def _default_profile(source: Path) -> str:
    """Return the profile of a tree that no setting names.

    The bundled workspace is recognised from every folder, because a command may run in any folder.
    """
    bundled = (SAMPLE_WORKSPACE.resolve(), _ABOVE_PACKAGE / SAMPLE_WORKSPACE)
    return "sample" if source in bundled and source.is_dir() else "vox"


def search_path(environment: Mapping[str, str] | None = None) -> str:
    """Return the value of `PATH`, or the default of the operating system."""
    env = os.environ if environment is None else environment
    return env.get("PATH", os.defpath)


def find_compiler(environment: Mapping[str, str] | None = None) -> Path | None:
    """Find the compiler that checks Vox code; None selects the built-in grammar.

    Raises SettingsError.
    """
    env = os.environ if environment is None else environment
    value = env.get("VOX_FRONTEND", "").strip()
    if value == BUILT_IN:
        return None
    program = shutil.which(value or "vox", path=search_path(env))
    if value and program is None:
        fault = "is not executable" if Path(value).exists() else "was not found"
        raise SettingsError(
            f"VOX_FRONTEND: {value} {fault}: expected the path of a vox compiler, its name on the "
            f"path, or {BUILT_IN!r} for the built-in grammar"
        )
    return Path(program).absolute() if program else None


def _language_model(base_url: str | None, name: str | None, key: str | None) -> RemoteModel | None:
    if base_url is None:
        return None
    _check_address(base_url, "VOX_LLM_BASE_URL")
    if name is None:
        raise SettingsError(
            "VOX_LLM_MODEL: is not set, but VOX_LLM_BASE_URL is: "
            "expected the name of a model that the endpoint serves"
        )
    return remote_model(base_url, name, key, "VOX_LLM_BASE_URL")


def remote_model(base_url: str, name: str, key: str | None, setting: str) -> RemoteModel:
    """Check the address and the key of an endpoint; `setting` is what gives the address.

    Raises SettingsError, without a password that the address may hold.
    """
    _check_address(base_url, setting)
    if key is not None and not (key.isascii() and key.isprintable() and " " not in key):
        raise SettingsError(
            "VOX_LLM_API_KEY: contains characters that an HTTP header cannot carry: "
            "expected the key alone"
        )
    return RemoteModel(base_url=base_url.rstrip("/"), name=name, api_key=key)


def _check_address(base_url: str, setting: str) -> None:
    expected = "expected the URL of an OpenAI-compatible API such as https://host:8000/v1"
    try:
        parts = urlsplit(base_url)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid or any(character.isspace() for character in base_url):
        raise SettingsError(f"{setting}: not an http or https URL: {expected}")
    if parts.username is not None or parts.query or parts.fragment:
        raise SettingsError(
            f"{setting}: contains a user, a query or a fragment: {expected}, "
            f"and the key in VOX_LLM_API_KEY"
        )


def _cache_limit(value: str | None) -> int:
    if value is None:
        return Settings.cache_limit
    try:
        return parse_size(value)
    except ValueError as error:
        raise SettingsError(f"VOX_CACHE_LIMIT: {error}") from error


def parse_size(text: str) -> int:
    """Parse a size in bytes, or with the unit kB, MB, GB or TB. Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text!r} is not a size: expected bytes, or a number such as 500MB or 2.5GB"
        )
    number, unit = match.groups()
    return int(float(number) * 1000 ** " kmgt".index(unit.lower() or " "))


def _lake_url(value: str | None) -> str | None:
    parts = urlsplit(value or "")
    if value is not None and (parts.scheme not in LAKE_SCHEMES or not parts.netloc):
        # The message repeats only the scheme: the user part of a URL may hold a key.
        raise SettingsError(
            f"VOX_LAKE_URL: scheme {parts.scheme!r}: expected an object store such as "
            f"s3://bucket/prefix ({', '.join(LAKE_SCHEMES)}); unset it for VOX_DATA_DIR/lake"
        )
    return value.rstrip("/") if value else None


def _alert_urls(value: str | None) -> tuple[str, ...]:
    urls = tuple(part for part in (value or "").replace(",", " ").split() if part)
    for position, url in enumerate(urls, start=1):
        # The URL may hold a token, so the message names its position only.
        if not url.partition("://")[0] or "://" not in url:
            raise SettingsError(
                f"VOX_ALERT_URLS: entry {position} has no scheme: "
                f"expected Apprise URLs such as json://host/path, separated by spaces"
            )
        if alert_service(url) is None:
            raise SettingsError(
                f"VOX_ALERT_URLS: entry {position} is not a URL of a service that Apprise knows, "
                f"or lacks a part such as a host or a token: expected Apprise URLs such as "
                f"json://host/path, separated by spaces"
            )
    return urls


def alert_service(url: str) -> apprise.NotifyBase | None:
    """Return the service that an Apprise URL names; None when Apprise refuses the URL."""
    import apprise

    # Apprise logs URLs, which may hold tokens.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    return apprise.Apprise.instantiate(url)


def _is_plain_url(value: str) -> bool:
    """Test for an http or https URL with a host, and without a user or white space."""
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return valid and "@" not in parts.netloc and not any(map(str.isspace, value))


def _heartbeat_url(value: str | None) -> str | None:
    if value is None:
        return None
    parts = urlsplit(value) if _is_plain_url(value) else None
    # The URL is a key, so the message does not repeat it.
    if parts is None or parts.query or parts.fragment or not value.isascii():
        raise SettingsError(
            "VOX_HEARTBEAT_URL: not an http or https URL, or one with a user, a query or a "
            "fragment: expected the ping URL of a check such as https://hc.example/ping/UUID"
        )
    return value.rstrip("/")


def _ui_url(value: str | None) -> str:
    if value is None:
        return Settings.ui_url
    if not _is_plain_url(value):
        raise SettingsError(
            "VOX_UI_URL: not an http or https URL: expected the address of the UI such as "
            "http://127.0.0.1:3000"
        )
    return value.rstrip("/")


def _timezone(value: str | None) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if value is None:
        return Settings.timezone
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError):
        raise SettingsError(
            f"VOX_TIMEZONE: {value!r} is unknown: expected an IANA name such as Europe/Berlin"
        ) from None
    return value


def _ray_address(value: str | None) -> str | None:
    if value is None or value == "auto":
        return value
    try:
        parts = urlsplit(f"//{value}")
        valid = bool(parts.hostname and parts.port) and value == parts.netloc
    except ValueError:
        valid = False
    if not valid or "@" in value or " " in value:
        raise SettingsError(
            f"RAY_ADDRESS: {value!r} is not the address of a Ray cluster: expected auto or "
            f"host:port, on a machine of that cluster (Ray Data does not run over ray://); "
            f"unset it to run on this machine only"
        )
    if not extras.installed("ray"):
        raise SettingsError(f"RAY_ADDRESS: Ray is not installed: type {extras.command('ray')}")
    return value
