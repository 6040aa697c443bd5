"""Configuration: frozen Settings, read once from environment variables with the prefix DIGITS_.

Enters: the environment. Leaves: Settings, or one SettingsError that names every invalid variable; and warnings of
variables that are not settings, but look like one. Out of scope: the commands' own options (`cli`), and writing the
warnings to the log (`server.run`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.errors import SettingsError
from service.types import FORMATS

MAX_PIXELS = 50_000_000

_PREFIX = "DIGITS_"
_MIB = 1024 * 1024
# Characters of a bearer token, RFC 6750.
_KEY = re.compile(r"[A-Za-z0-9._~+/=-]+")
# The serialised form of the header `Origin`: lower case, without a path, and without wildcards inside.
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[a-z0-9.:\[\]_-]+")
# A token of RFC 9110, to which `*` belongs.
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ROOT_PATH = re.compile("(/[^/?#]+)*")
# Variables with our prefix that are not settings: folders of data and pictures for training and tests, the key of the
# command line's client, and the service links that Kubernetes sets for a Service named digits.
_NO_SETTINGS = re.compile("DIGITS_(DATA|PICTURES|NUMBERS|API_KEY|SERVICE_HOST|SERVICE_PORT.*|PORT_.*)")
# Similarity, 0 to 1, from which a name is taken for a misspelt setting: MAX_BYTE is, CACHE_BYTES is not.
_SIMILAR = 0.75
# Just below the limit of Pillow itself (decompression bombs).
_PILLOW_MAX_PIXELS = 89_000_000


def bundled_model() -> Path:
    """Return the path of the bundled model: inside the installed package, or in models/ of a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "digits.safetensors"
    return installed if installed.exists() else package.parent / "models" / "digits.safetensors"


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _split_keys(value: object) -> object:
    parts = _split(value)
    if not parts and isinstance(value, str):
        # Read as an empty list, it would disable authentication.
        message = "it contains no key"
        raise ValueError(message)
    return parts


def _split_formats(value: object) -> object:
    """Return format names in the spelling and order of FORMATS."""
    if not isinstance(value, str):
        return value
    known = {name.lower(): name for name in FORMATS}
    requested = [part.strip().lower() for part in value.split(",")]
    unknown = [name for name in requested if name not in known]
    if unknown:
        message = f"choose from {', '.join(FORMATS)}, separated by commas"
        raise ValueError(message)
    return [name for name in FORMATS if name.lower() in requested]


def _check_host(hosts: str) -> str:
    if not _split(hosts):
        message = "it must be an address, or several separated by commas, such as 0.0.0.0 or ::"
        raise ValueError(message)
    return hosts


def _matching(pattern: re.Pattern[str], message: str) -> AfterValidator:
    """Return a validator of text that a pattern matches from end to end. Its error is the message."""

    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(message)
        return text

    return AfterValidator(check)


Keys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split_keys)]
Origin = Annotated[
    str,
    _matching(
        _ORIGIN, "each origin must be like https://example.org, in lower case and without a path, or be * for all"
    ),
]
Header = Annotated[str, _matching(_HEADER, "each must be the name of a header, such as X-Trace-Id, or * for all")]
Headers = Annotated[tuple[Header, ...], NoDecode, BeforeValidator(_split)]
Host = Annotated[str, AfterValidator(_check_host)]
Origins = Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_split)]
LogFormat = Literal["auto", "json", "text"]
LogLevel = Literal["critical", "error", "warning", "info", "debug"]
RootPath = Annotated[str, _matching(_ROOT_PATH, "it must begin with a slash and not end with one, as /digits does")]
Formats = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_formats)]


def _check_keys(variable: str, keys: list[str]) -> list[str]:
    """Return the keys. Raises SettingsError, which names a key by its position and does not print it."""
    for number, key in enumerate(keys, 1):
        if not _KEY.fullmatch(key):
            message = f"{variable}: key {number} of {len(keys)} has characters other than letters, digits and -._~+/="
            raise SettingsError(message)
    return keys


class Settings(BaseSettings):
    """All settings. The environment variable of a field is DIGITS_ and its name in upper case."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, env_ignore_empty=True, populate_by_name=True)

    host: Host = Field(
        "127.0.0.1",
        description="addresses to listen on, separated by commas; 0.0.0.0 for all of IPv4, :: for all of IPv6 and IPv4",
    )
    port: int = Field(
        8000,
        ge=0,
        le=65535,
        validation_alias=AliasChoices("DIGITS_PORT", "PORT"),
        description="port to listen on; falls back to the variable PORT; 0 picks a free one",
    )
    model: Path = Field(default_factory=bundled_model, description="model file to serve; default: the bundled model")
    workers: int = Field(
        1,
        ge=1,
        le=256,
        validation_alias=AliasChoices("DIGITS_WORKERS", "WEB_CONCURRENCY"),
        description="number of worker processes; falls back to the variable WEB_CONCURRENCY",
    )
    max_bytes: int = Field(20 * _MIB, ge=1024, description="maximum size of a request body in bytes")
    max_pixels: int = Field(
        MAX_PIXELS,
        ge=784,
        le=_PILLOW_MAX_PIXELS,
        description="maximum number of pixels of a picture (decompression bombs)",
    )
    formats: Formats = Field(FORMATS, description=f"accepted image formats, separated by commas: {', '.join(FORMATS)}")
    max_batch: int = Field(64, ge=1, description="maximum number of pictures in one request")
    max_batch_bytes: int = Field(64 * _MIB, ge=1024, description="maximum size of the body of a batch in bytes")
    max_bytes_in_hand: int = Field(
        256 * _MIB,
        ge=1024,
        description="in-flight byte budget: maximum bytes of all request bodies together; load shedding beyond",
    )
    body_seconds: float = Field(
        30,
        gt=0,
        allow_inf_nan=False,
        description="slow-client (Slowloris) timeout of a request body in seconds; each 8 KiB received adds one second",
    )
    drain_seconds: float = Field(
        1,
        ge=0,
        le=600,
        description="graceful shutdown: seconds from SIGTERM, when readiness (/readyz) fails, to the last new request",
    )
    api_keys: Keys = Field(
        (), description="API keys (bearer tokens), separated by commas; without keys there is no authentication"
    )
    api_keys_file: Path | None = Field(None, description="file with further API keys, one per line")
    cors_origins: Origins = Field(
        (), description="allowed CORS origins, separated by commas, such as https://example.org; * for all"
    )
    cors_headers: Headers = Field(
        (),
        description="further request headers that pages of CORS origins may send, separated by commas; * for all",
    )
    root_path: RootPath = Field("", description="path prefix that a reverse proxy strips, such as /digits")
    forwarded_allow_ips: str = Field(
        "127.0.0.1",
        validation_alias=AliasChoices("DIGITS_FORWARDED_ALLOW_IPS", "FORWARDED_ALLOW_IPS"),
        description="trusted proxies: addresses whose X-Forwarded headers are used, separated by commas; * for all",
    )
    log_format: LogFormat = Field("auto", description="log format: json, text, or auto (text on a terminal, else json)")
    log_level: LogLevel = Field("info", description="log level: critical, error, warning, info or debug")

    def hosts(self) -> list[str]:
        """Return the addresses and names to listen on, at least one."""
        return list(dict.fromkeys(part.strip() for part in self.host.split(",") if part.strip()))

    def keys(self) -> list[str]:
        """Return the API keys of the variable and of the file. Raises SettingsError if one is invalid."""
        keys = _check_keys("DIGITS_API_KEYS", [key.get_secret_value() for key in self.api_keys])
        if self.api_keys_file is not None:
            try:
                lines = self.api_keys_file.read_text(encoding="utf-8-sig").split("\n")
            except (OSError, UnicodeDecodeError) as error:
                message = f"DIGITS_API_KEYS_FILE: {self.api_keys_file} cannot be read: {error}"
                raise SettingsError(message) from error
            keys += _check_keys("DIGITS_API_KEYS_FILE", [line.strip() for line in lines if line.strip()])
            if not keys:
                message = f"DIGITS_API_KEYS_FILE: {self.api_keys_file} contains no keys"
                raise SettingsError(message)
        return keys


def read_settings() -> Settings:
    """Return the settings of the environment. Raises SettingsError, which names every invalid variable."""
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("; ".join(_describe(problem) for problem in error.errors())) from error


def misspelt_settings(variables: Iterable[str]) -> list[str]:
    """Return a line for each name of an environment variable that is not a setting, but nearly is one.

    Each line names the setting that was probably meant, and no value, which might be a secret. A variable that is
    like no setting, and those of others that begin with DIGITS_ too, are none of our business: no line.
    """
    settings = {name.upper().replace("_", ""): f"{_PREFIX}{name.upper()}" for name in Settings.model_fields}
    lines = []
    for variable in sorted(variables):
        name = variable.upper()
        if not name.startswith(_PREFIX) or name in settings.values() or _NO_SETTINGS.fullmatch(name):
            continue
        similar = get_close_matches(name.removeprefix(_PREFIX).replace("_", ""), settings, 1, _SIMILAR)
        lines += [f"{variable} is not a setting and has no effect: did you mean {settings[one]}?" for one in similar]
    return lines


def _describe(problem: ErrorDetails) -> str:
    """Return an error of pydantic in our words: the variable, what it must be, and its value unless it is a secret."""
    location = str(problem["loc"][0])
    field = location.lower().removeprefix(_PREFIX.lower())
    value = "" if field == "api_keys" else f", not {problem['input']!r}"
    return f"{_variable(field)}: {_requirement(problem, Settings.model_fields[field])}{value}"


def _requirement(problem: ErrorDetails, field: FieldInfo) -> str:
    if field is Settings.model_fields["port"] and str(problem["input"]).startswith("tcp://"):
        # Read by somebody who did not set it.
        return (
            "Kubernetes has set it for a Service named digits (service links): "
            "set enableServiceLinks: false in the pod, or rename the Service; it must be an integer from 0 to 65535"
        )
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    if problem["type"] == "literal_error":
        *others, last = get_args(field.annotation)
        return f"it must be {', '.join(others)} or {last}"
    kind = "an integer" if field.annotation is int else "a number"
    bounds = {name: getattr(one, name) for one in field.metadata for name in ("gt", "ge", "le") if hasattr(one, name)}
    if "le" in bounds:
        return f"it must be {kind} from {bounds['ge']} to {bounds['le']}"
    return f"it must be {kind} above {bounds['gt']}" if "gt" in bounds else f"it must be {kind} from {bounds['ge']} up"


_ALIASES = {
    "DIGITS_PORT": "PORT",
    "DIGITS_WORKERS": "WEB_CONCURRENCY",
    "DIGITS_FORWARDED_ALLOW_IPS": "FORWARDED_ALLOW_IPS",
}


def _variable(field: str) -> str:
    """Return the environment variable from which a field was read."""
    name = f"{_PREFIX}{field.upper()}"
    # With two variables for one setting, pydantic always reports the first, even if it read the second.
    return _ALIASES.get(name, name) if not os.environ.get(name) else name
