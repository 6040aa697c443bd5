"""Configuration: frozen Settings, read once from environment variables with the prefix DIGITS_.

Enters: the environment. Leaves: Settings, or one SettingsError that names every invalid variable. Out of scope: the
commands' own options (`cli`).
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.errors import SettingsError
from service.types import FORMATS

MAX_PIXELS = 50_000_000

_PREFIX = "DIGITS_"
_MIB = 1024 * 1024
# Characters of a bearer token, RFC 6750.
_KEY = re.compile(r"[A-Za-z0-9._~+/=-]+")
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


Keys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split_keys)]
# The serialised form of the header `Origin`: lower case, without wildcards inside.
Origin = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[a-z0-9.:\[\]_-]+)$")]
Origins = Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_split)]
LogFormat = Literal["auto", "json", "text"]
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

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 for all interfaces")
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
    root_path: str = Field(
        "", pattern="^(/[^/?#]+)*$", description="path prefix that a reverse proxy strips, such as /digits"
    )
    forwarded_allow_ips: str = Field(
        "127.0.0.1",
        validation_alias=AliasChoices("DIGITS_FORWARDED_ALLOW_IPS", "FORWARDED_ALLOW_IPS"),
        description="trusted proxies: addresses whose X-Forwarded headers are used, separated by commas; * for all",
    )
    log_format: LogFormat = Field("auto", description="log format: json, text, or auto (text on a terminal, else json)")
    log_level: str = Field(
        "info",
        pattern="^(critical|error|warning|info|debug)$",
        description="log level: critical, error, warning, info or debug",
    )

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
        lines = [
            f"{_variable(str(problem['loc'][0]))}: {problem['msg']}{_quote(problem['loc'][0], problem['input'])}"
            for problem in error.errors()
        ]
        raise SettingsError("; ".join(lines)) from error


def _quote(location: int | str, value: object) -> str:
    """Return the end of an error message with the invalid value, or nothing for a secret."""
    return "" if "api_keys" in str(location).lower() else f", not {value!r}"


_ALIASES = {
    "DIGITS_PORT": "PORT",
    "DIGITS_WORKERS": "WEB_CONCURRENCY",
    "DIGITS_FORWARDED_ALLOW_IPS": "FORWARDED_ALLOW_IPS",
}


def _variable(location: str) -> str:
    """Return the environment variable of an error location of pydantic."""
    name = f"{_PREFIX}{location.upper().removeprefix(_PREFIX)}"
    # With two variables for one setting, pydantic always reports the first, even if it read the second.
    return _ALIASES.get(name, name) if not os.environ.get(name) else name
