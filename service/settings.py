"""What can be set from outside, read once: frozen Settings from environment variables that start with DIGITS_."""

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
# What RFC 6750 allows behind `Bearer`.
_KEY = re.compile(r"[A-Za-z0-9._~+/=-]+")
# Pillow itself refuses what is larger than this.
_MOST_PIXELS = 89_000_000


def bundled_model() -> Path:
    """Return the model that comes with the code: inside the package when installed, in models/ in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "digits.safetensors"
    return installed if installed.exists() else package.parent / "models" / "digits.safetensors"


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _split_keys(value: object) -> object:
    parts = _split(value)
    if not parts and isinstance(value, str):
        # Taken for none, it would open the service to everybody.
        message = "there is no key in it"
        raise ValueError(message)
    return parts


def _split_formats(value: object) -> object:
    """Return the names of formats as they are written here, in this order."""
    if not isinstance(value, str):
        return value
    known = {name.lower(): name for name in FORMATS}
    wanted = [part.strip().lower() for part in value.split(",")]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        message = f"choose from {', '.join(FORMATS)}, separated by commas"
        raise ValueError(message)
    return [name for name in FORMATS if name.lower() in wanted]


Keys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split_keys)]
# As browsers write it: in small letters, and without a pattern for many.
Origin = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z][a-z0-9+.-]*://[a-z0-9.:\[\]_-]+)$")]
Origins = Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_split)]
LogFormat = Literal["auto", "json", "text"]
Formats = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_formats)]


def _checked(variable: str, keys: list[str]) -> list[str]:
    for number, key in enumerate(keys, 1):
        if not _KEY.fullmatch(key):
            message = f"{variable}: key {number} of {len(keys)} has more than letters, digits and -._~+/= in it"
            raise SettingsError(message)
    return keys


class Settings(BaseSettings):
    """Every setting; the environment variable is DIGITS_ and the name in capitals."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, env_ignore_empty=True, populate_by_name=True)

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0 for all")
    port: int = Field(
        8000,
        ge=0,
        le=65535,
        validation_alias=AliasChoices("DIGITS_PORT", "PORT"),
        description="port to listen on, else the variable PORT; 0 picks a free one",
    )
    model: Path = Field(default_factory=bundled_model, description="model file to serve; default: the bundled one")
    workers: int = Field(
        1,
        ge=1,
        le=256,
        validation_alias=AliasChoices("DIGITS_WORKERS", "WEB_CONCURRENCY"),
        description="processes that answer, else the variable WEB_CONCURRENCY",
    )
    max_bytes: int = Field(20 * _MIB, ge=1024, description="largest request body in bytes")
    max_pixels: int = Field(MAX_PIXELS, ge=784, le=_MOST_PIXELS, description="largest picture in pixels")
    formats: Formats = Field(FORMATS, description=f"formats of pictures that are accepted, of {', '.join(FORMATS)}")
    max_batch: int = Field(64, ge=1, description="most pictures in one request")
    max_batch_bytes: int = Field(64 * _MIB, ge=1024, description="largest body of a batch in bytes")
    max_bytes_in_hand: int = Field(256 * _MIB, ge=1024, description="what the bodies of all requests may have at once")
    body_seconds: float = Field(
        30, gt=0, allow_inf_nan=False, description="time for a body to come in, and a second more for each 8 KiB"
    )
    drain_seconds: float = Field(
        1, ge=0, le=600, description="time between SIGTERM, from which on /readyz says 503, and the end of new requests"
    )
    api_keys: Keys = Field(
        (), description="only requests with one of these keys, separated by commas, are answered; none: all are"
    )
    api_keys_file: Path | None = Field(None, description="file with more keys, one a line")
    cors_origins: Origins = Field(
        (), description="origins whose pages may ask, separated by commas, as https://example.org; * for all"
    )
    root_path: str = Field(
        "", pattern="^(/[^/?#]+)*$", description="path at which a proxy shows the service, as /digits"
    )
    forwarded_allow_ips: str = Field(
        "127.0.0.1",
        validation_alias=AliasChoices("DIGITS_FORWARDED_ALLOW_IPS", "FORWARDED_ALLOW_IPS"),
        description="proxies whose X-Forwarded headers are believed, separated by commas; * for all",
    )
    log_format: LogFormat = Field("auto", description="json, text, or auto: text on a terminal, else json")
    log_level: str = Field(
        "info", pattern="^(critical|error|warning|info|debug)$", description="critical, error, warning, info or debug"
    )

    def keys(self) -> list[str]:
        """Return all keys, of the variable and of the file. Raises SettingsError when one cannot be used."""
        keys = _checked("DIGITS_API_KEYS", [key.get_secret_value() for key in self.api_keys])
        if self.api_keys_file is not None:
            try:
                found = self.api_keys_file.read_text(encoding="utf-8-sig").split("\n")
            except (OSError, UnicodeDecodeError) as error:
                message = f"DIGITS_API_KEYS_FILE: {self.api_keys_file} cannot be read: {error}"
                raise SettingsError(message) from error
            keys += _checked("DIGITS_API_KEYS_FILE", [line.strip() for line in found if line.strip()])
            if not keys:
                message = f"DIGITS_API_KEYS_FILE: there is no key in {self.api_keys_file}"
                raise SettingsError(message)
        return keys


def read_settings() -> Settings:
    """Read the settings from the environment. Raises SettingsError naming each variable that is wrong."""
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"{_variable(str(problem['loc'][0]))}: {problem['msg']}{_shown(problem['loc'][0], problem['input'])}"
            for problem in error.errors()
        ]
        raise SettingsError("; ".join(lines)) from error


def _shown(location: int | str, value: object) -> str:
    """Return what a variable had instead, unless that is a secret."""
    return "" if "api_keys" in str(location).lower() else f", not {value!r}"


_ALIASES = {
    "DIGITS_PORT": "PORT",
    "DIGITS_WORKERS": "WEB_CONCURRENCY",
    "DIGITS_FORWARDED_ALLOW_IPS": "FORWARDED_ALLOW_IPS",
}


def _variable(location: str) -> str:
    """Return the environment variable behind what pydantic calls the location of a problem."""
    name = f"{_PREFIX}{location.upper().removeprefix(_PREFIX)}"
    # Of two variables for one setting, pydantic names the first, read or not.
    return _ALIASES.get(name, name) if not os.environ.get(name) else name
