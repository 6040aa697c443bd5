"""Tests of service.settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from service.errors import SettingsError
from service.model import artifact
from service.settings import MAX_PIXELS, Settings, bundled_model, misspelt_settings, read_settings

ROOT = Path(__file__).parents[2]
# Variables of platforms, read if the variable with the prefix is not set.
FALLBACKS = ["PORT", "WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS"]
VALUES: list[tuple[str, str, str, object]] = [
    ("DIGITS_HOST", "0.0.0.0", "host", "0.0.0.0"),
    ("DIGITS_HOST", "10.0.0.5, ::1", "host", "10.0.0.5, ::1"),
    ("DIGITS_PORT", "0", "port", 0),
    ("DIGITS_PORT", "65535", "port", 65535),
    ("DIGITS_MODEL", "/models/other.safetensors", "model", Path("/models/other.safetensors")),
    ("DIGITS_MAX_BYTES", "1024", "max_bytes", 1024),
    ("DIGITS_MAX_PIXELS", "784", "max_pixels", 784),
    ("DIGITS_FORMATS", "webp, PNG,heic,png", "formats", ("PNG", "HEIC", "WebP")),
    ("DIGITS_MAX_PIXELS", "89000000", "max_pixels", 89_000_000),
    ("DIGITS_WORKERS", "2", "workers", 2),
    ("WEB_CONCURRENCY", "3", "workers", 3),
    ("DIGITS_MAX_BATCH", "8", "max_batch", 8),
    ("DIGITS_MAX_BATCH_BYTES", "2048", "max_batch_bytes", 2048),
    ("DIGITS_MAX_BYTES_IN_HAND", "4096", "max_bytes_in_hand", 4096),
    ("DIGITS_DRAIN_SECONDS", "2.5", "drain_seconds", 2.5),
    ("DIGITS_BODY_SECONDS", "2.5", "body_seconds", 2.5),
    ("DIGITS_API_KEYS", "one, two,", "api_keys", (SecretStr("one"), SecretStr("two"))),
    ("DIGITS_API_KEYS_FILE", "/run/secrets/keys", "api_keys_file", Path("/run/secrets/keys")),
    ("DIGITS_CORS_ORIGINS", "*", "cors_origins", ("*",)),
    ("DIGITS_CORS_ORIGINS", "https://a.org,http://b:3000", "cors_origins", ("https://a.org", "http://b:3000")),
    ("DIGITS_CORS_HEADERS", "X-Trace-Id, *", "cors_headers", ("X-Trace-Id", "*")),
    ("DIGITS_ROOT_PATH", "/digits/v1", "root_path", "/digits/v1"),
    ("DIGITS_FORWARDED_ALLOW_IPS", "10.0.0.0/8", "forwarded_allow_ips", "10.0.0.0/8"),
    ("FORWARDED_ALLOW_IPS", "*", "forwarded_allow_ips", "*"),
    ("DIGITS_LOG_FORMAT", "text", "log_format", "text"),
    ("DIGITS_LOG_LEVEL", "warning", "log_level", "warning"),
    ("digits_port", "9001", "port", 9001),
]


def test_defaults() -> None:
    """Loopback interface, port 8000, 20 MiB, 50 megapixels, the bundled model."""
    settings = read_settings()

    assert ("127.0.0.1", 8000, "info") == (settings.host, settings.port, settings.log_level)
    assert (20 * 2**20, 50_000_000) == (settings.max_bytes, settings.max_pixels)
    assert bundled_model() == settings.model
    assert MAX_PIXELS == settings.max_pixels


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"), VALUES, ids=[f"{variable}={value}" for variable, value, _, _ in VALUES]
)
def test_setting_is_read_from_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, field: str, expected: object
) -> None:
    """A variable sets its own setting and no other."""
    monkeypatch.setenv(variable, value)
    defaults = Settings.model_construct().model_dump()

    assert defaults | {field: expected} == read_settings().model_dump()


def test_all_settings_are_tested_above() -> None:
    """VALUES has every field."""
    assert set(Settings.model_fields) == {field for _, _, field, _ in VALUES}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"PORT": "8080"}, 8080),
        ({"DIGITS_PORT": "9000", "PORT": "8080"}, 9000),
        ({"DIGITS_PORT": "", "PORT": "8080"}, 8080),
        ({"DIGITS_PORT": "9000", "PORT": ""}, 9000),
    ],
    ids=["only PORT", "both", "DIGITS_PORT empty", "PORT empty"],
)
def test_port_falls_back_to_the_variable_of_platforms(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: int
) -> None:
    """DIGITS_PORT overrides PORT. An empty variable counts as unset."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert expected == read_settings().port


def test_empty_variables_count_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files set variables to empty values. The defaults apply."""
    defaults = read_settings()
    for name in [f"DIGITS_{field.upper()}" for field in Settings.model_fields] + FALLBACKS:
        monkeypatch.setenv(name, "")

    assert defaults == read_settings()


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("DIGITS_PORT", "http", "it must be an integer from 0 to 65535"),
        ("DIGITS_PORT", "-1", "it must be an integer from 0 to 65535"),
        ("DIGITS_PORT", "65536", "it must be an integer from 0 to 65535"),
        ("PORT", "http", "it must be an integer from 0 to 65535"),
        ("DIGITS_MAX_BYTES", "1023", "it must be an integer from 1024 up"),
        ("DIGITS_MAX_PIXELS", "783", "it must be an integer from 784 to 89000000"),
        ("DIGITS_MAX_PIXELS", "89000001", "it must be an integer from 784 to 89000000"),
        (
            "DIGITS_FORMATS",
            "png,jpg",
            "choose from PNG, JPEG, HEIC, AVIF, WebP, GIF, BMP, TIFF, separated by commas",
        ),
        ("DIGITS_FORMATS", ",", "choose from PNG"),
        ("DIGITS_WORKERS", "0", "it must be an integer from 1 to 256"),
        ("WEB_CONCURRENCY", "many", "it must be an integer from 1 to 256"),
        ("DIGITS_BODY_SECONDS", "0", "it must be a number above 0"),
        ("DIGITS_BODY_SECONDS", "inf", "it must be a number above 0"),
        ("DIGITS_DRAIN_SECONDS", "601", "it must be a number from 0 to 600"),
        (
            "DIGITS_CORS_ORIGINS",
            "example.org",
            "each origin must be like https://example.org, in lower case and without a path, or be * for all",
        ),
        ("DIGITS_CORS_ORIGINS", "https://example.org/", "without a path"),
        ("DIGITS_CORS_ORIGINS", "https://Example.org", "in lower case"),
        ("DIGITS_CORS_ORIGINS", "https://*.example.org", "or be * for all"),
        ("DIGITS_CORS_HEADERS", "X Trace", "each must be the name of a header, such as X-Trace-Id, or * for all"),
        ("DIGITS_HOST", ", ", "it must be an address, or several separated by commas"),
        ("DIGITS_PORT", "tcp://10.0.0.1:80", "Kubernetes has set it for a Service named digits (service links)"),
        ("DIGITS_PORT", "tcp://10.0.0.1:80", "set enableServiceLinks: false in the pod, or rename the Service"),
        ("DIGITS_ROOT_PATH", "digits", "it must begin with a slash and not end with one, as /digits does"),
        ("DIGITS_ROOT_PATH", "/digits/", "not end with one"),
        ("DIGITS_LOG_FORMAT", "xml", "it must be auto, json or text"),
        ("DIGITS_LOG_LEVEL", "loud", "it must be critical, error, warning, info or debug"),
        ("DIGITS_LOG_LEVEL", "INFO", "it must be critical, error, warning, info or debug"),
        ("DIGITS_PORT", "80\n80", "it must be an integer"),
    ],
)
def test_error_names_variable_reason_and_value(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    """The message is one line: the variable that was read, the reason, and the invalid value."""
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError) as caught:
        read_settings()
    line = str(caught.value)
    assert line.startswith(f"{variable}: ")
    assert line.endswith(f", not {value!r}")
    assert reason in line
    assert "\n" not in line


def test_error_names_the_variable_that_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    """With both variables for the port set, the error names DIGITS_PORT."""
    monkeypatch.setenv("DIGITS_PORT", "http")
    monkeypatch.setenv("PORT", "8080")

    with pytest.raises(SettingsError, match=r"^DIGITS_PORT: "):
        read_settings()


def test_one_error_names_all_invalid_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user can fix all of them before the next start."""
    monkeypatch.setenv("DIGITS_MAX_BYTES", "many")
    monkeypatch.setenv("DIGITS_LOG_LEVEL", "loud")

    with pytest.raises(SettingsError, match=r"^DIGITS_MAX_BYTES: .+, not 'many'; DIGITS_LOG_LEVEL: .+, not 'loud'$"):
        read_settings()


# --- Misspelt variables


@pytest.mark.parametrize(
    ("variable", "setting"),
    [
        ("DIGITS_APIKEYS", "DIGITS_API_KEYS"),
        ("DIGITS_KEYS_FILE", "DIGITS_API_KEYS_FILE"),
        ("DIGITS_LOGLEVEL", "DIGITS_LOG_LEVEL"),
        ("DIGITS_MAX_BYTE", "DIGITS_MAX_BYTES"),
        ("DIGITS_WORKER", "DIGITS_WORKERS"),
        ("DIGITS_CORS_ORIGIN", "DIGITS_CORS_ORIGINS"),
        ("digits_ports", "DIGITS_PORT"),
    ],
)
def test_variable_that_nearly_is_a_setting_is_named(variable: str, setting: str) -> None:
    """The line has both names."""
    assert [f"{variable} is not a setting and has no effect: did you mean {setting}?"] == misspelt_settings([variable])


@pytest.mark.parametrize(
    "variable",
    [
        *(f"DIGITS_{field.upper()}" for field in Settings.model_fields),
        *FALLBACKS,
        "digits_log_level",
        "DIGITS_DATA",
        "DIGITS_PICTURES",
        "DIGITS_NUMBERS",
        "DIGITS_API_KEY",
        "DIGITS_SERVICE_HOST",
        "DIGITS_SERVICE_PORT",
        "DIGITS_SERVICE_PORT_HTTP",
        "DIGITS_PORT_80_TCP_ADDR",
        "DIGITS_IMAGE_TAG",
        "LOG_LEVEL",
    ],
)
def test_other_variables_are_not_named(variable: str) -> None:
    """Settings, known variables that are none, and variables of others are no mistake."""
    assert [] == misspelt_settings([variable])


# --- API keys


def test_keys_of_variable_and_file_are_joined(tmp_path: Path) -> None:
    """The file may have blank lines, a byte order mark and CRLF line ends."""
    file = tmp_path / "keys"
    file.write_bytes(b"\xef\xbb\xbftwo\r\n\n three \n")

    assert ["one", "two", "three"] == Settings(api_keys=("one",), api_keys_file=file).keys()


@pytest.mark.parametrize("content", [None, b"", b" \n\n", b"\xff\xfe"], ids=["missing", "empty", "blank", "not UTF-8"])
def test_key_file_without_keys_does_not_disable_authentication(tmp_path: Path, content: bytes | None) -> None:
    """It is a SettingsError that names the variable."""
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(SettingsError, match=r"^DIGITS_API_KEYS_FILE: .*keys"):
        Settings(api_keys_file=file).keys()


def test_variable_without_keys_does_not_disable_authentication(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commas without keys are a SettingsError."""
    monkeypatch.setenv("DIGITS_API_KEYS", ", ,")

    with pytest.raises(SettingsError, match=r"^DIGITS_API_KEYS: it contains no key$"):
        read_settings()


def test_keys_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error names an invalid key by its position. The repr of the settings hides keys, too."""
    monkeypatch.setenv("DIGITS_API_KEYS", "good-secret,bad secret")
    settings = read_settings()

    with pytest.raises(SettingsError, match=r"^DIGITS_API_KEYS: key 2 of 2 ") as caught:
        settings.keys()
    assert "secret" not in f"{caught.value} {settings!r}"


def test_invalid_key_in_the_file_is_named_by_its_position(tmp_path: Path) -> None:
    """The error names the variable of the file, and the position of the key in it."""
    file = tmp_path / "keys"
    file.write_text("good\nbad key\n")

    with pytest.raises(SettingsError, match=r"^DIGITS_API_KEYS_FILE: key 2 of 2 "):
        Settings(api_keys=("one",), api_keys_file=file).keys()


def test_settings_are_immutable() -> None:
    """Assignment raises."""
    settings = Settings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    "values",
    [{"port": 1234}, {"host": "::"}],
    ids=lambda values: next(iter(values)),
)
def test_settings_accept_keyword_arguments(values: dict[str, Any]) -> None:
    """By field name, with and without aliases."""
    assert Settings.model_construct().model_dump() | values == Settings(**values).model_dump()


def test_hosts_are_separated_by_commas() -> None:
    """Spaces and repetitions do not count."""
    assert ["127.0.0.1", "::1"] == Settings(host="127.0.0.1, ::1,,127.0.0.1").hosts()


def test_keyword_arguments_override_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in tests and in applications built in code."""
    monkeypatch.setenv("DIGITS_HOST", "0.0.0.0")

    assert "::1" == Settings(host="::1").host


def test_bundled_model_of_a_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file is found and valid, independent of the working directory."""
    monkeypatch.chdir(tmp_path)

    assert ROOT / "models" / "digits.safetensors" == bundled_model()
    assert "mnist-mlp" == artifact.load(bundled_model()).metadata.name


def test_readme_documents_every_setting_once() -> None:
    """The table in the README has one row for each variable, and no other rows. Each field has a description."""
    documented = re.findall(r"^\| `DIGITS_(\w+)` \|.+\|.+\|$", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert sorted(field.upper() for field in Settings.model_fields) == sorted(documented)
    assert all(field.description for field in Settings.model_fields.values())
