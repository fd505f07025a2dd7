"""How the variables of the environment are read: what is taken, and what each refusal says."""

import base64
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from orchestrator_site import settings as ours

KEYS = [base64.urlsafe_b64encode(bytes([number]) * 32).decode() for number in (1, 2)]


def refused(read: Any, *args: Any, **options: Any) -> str:
    with pytest.raises(ImproperlyConfigured) as caught:
        read(*args, **options)
    return str(caught.value)


@pytest.mark.parametrize("word", ["1", "true", "YES", " On "])
def test_yes_is_said_in_several_words(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("FLAG", word)

    assert ours.envbool("FLAG", default=False) is True


@pytest.mark.parametrize("word", ["0", "false", "No", "off"])
def test_no_is_said_in_several_words(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("FLAG", word)

    assert ours.envbool("FLAG", default=True) is False


@pytest.mark.parametrize("empty", ["", "  "])
def test_what_is_empty_is_as_if_it_were_not_set(monkeypatch: pytest.MonkeyPatch, empty: str) -> None:
    monkeypatch.setenv("EMPTY", empty)

    assert ours.envstr("EMPTY", "dev", choices=("dev", "prod")) == "dev"
    assert ours.envbool("EMPTY", default=True) is True
    assert ours.envnumber("EMPTY", 2.5, low=0, high=9) == 2.5
    assert ours.envwhole("EMPTY", 7, low=0, high=9) == 7
    assert ours.envwords("EMPTY", "a,b") == ["a", "b"]
    assert ours.envurl("EMPTY", "http", "https") == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("many", "N='many' is not a number; use 1 to 9."),
        ("1,5", "N='1,5' is not a number; use 1 to 9."),
        ("0", "N=0 is outside 1 to 9."),
        ("10", "N=10 is outside 1 to 9."),
        ("-1", "N=-1 is outside 1 to 9."),
        ("nan", "N=nan is outside 1 to 9."),
        ("inf", "N=inf is outside 1 to 9."),
        ("1e400", "N=1e400 is outside 1 to 9."),
        ("2.5", "N=2.5 is not a whole number; use 1 to 9."),
    ],
)
def test_a_number_that_is_none_or_too_small_or_too_large_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setenv("N", text)

    assert refused(ours.envwhole, "N", 1, low=1, high=9) == said


@pytest.mark.parametrize(("text", "number"), [("4", 4), (" 4 ", 4), ("4.0", 4), ("4e0", 4)])
def test_a_whole_number_is_one_however_it_is_written(monkeypatch: pytest.MonkeyPatch, text: str, number: int) -> None:
    monkeypatch.setenv("N", text)

    found = ours.envwhole("N", 1, low=1, high=9)

    assert found == number
    assert isinstance(found, int)


@pytest.mark.parametrize("text", ["a.example,b.example", " a.example , b.example,", ",a.example,,b.example"])
def test_words_between_commas_lose_the_space_around_them(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", text)

    assert ours.envwords("ALLOWED_HOSTS", "localhost") == ["a.example", "b.example"]


@pytest.mark.parametrize("url", ["postgres://ada:pa[ss@db/x", "postgres://ada:hunter2@[::1/x"])
def test_an_address_that_cannot_be_taken_apart_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    said = refused(ours.envurl, "DATABASE_URL", "postgres")

    assert said.startswith("DATABASE_URL cannot be read as an address")
    assert "%5B" in said
    assert "pa[ss" not in said
    assert "hunter2" not in said


@pytest.mark.parametrize("url", ["https://", "http:///path", "https:jobs.example.com", "https://:8443"])
def test_an_address_of_the_web_names_a_host(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("HEARTBEAT_URL", url)

    assert refused(ours.envurl, "HEARTBEAT_URL", "http", "https").startswith("HEARTBEAT_URL names no host")


@pytest.mark.parametrize("url", ["sqlite:////tmp/x.sqlite3", "postgres:///jobs", "unix:///run/redis.sock"])
def test_other_addresses_may_name_none(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("PLACE", url)

    assert ours.envurl("PLACE", "sqlite", "postgres", "unix") == url


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("https://jobs.example.com", "https://jobs.example.com"),
        ("https://jobs.example.com/", "https://jobs.example.com"),
        ("http://127.0.0.1:8080//", "http://127.0.0.1:8080"),
        ("", ""),
    ],
)
def test_the_public_address_is_written_like_an_origin(monkeypatch: pytest.MonkeyPatch, typed: str, url: str) -> None:
    monkeypatch.setenv("PUBLIC_URL", typed)

    assert ours.public_url() == url


@pytest.mark.parametrize("url", ["https://example.com/jobs", "https://example.com/?a=1", "https://example.com/#top"])
def test_a_public_address_with_a_path_is_refused_since_forms_and_sockets_would_be(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("PUBLIC_URL", url)

    assert refused(ours.public_url).startswith("PUBLIC_URL has a path; use the scheme and the host alone")


@pytest.mark.parametrize("place", ["/srv/outputs", "file:///srv/outputs", "s3://bucket/outputs"])
def test_outputs_are_kept_in_a_folder_or_a_store(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("VARIABLES_URL", place)

    assert ours.variables_url() == place


@pytest.mark.parametrize("place", ["outputs", "./outputs", "s3://", "://bucket"])
def test_a_place_for_outputs_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("VARIABLES_URL", place)

    assert f"VARIABLES_URL={place!r} is no place for outputs" in refused(ours.variables_url)


@pytest.mark.parametrize("place", ["/srv/logs", "s3://bucket/logs"])
def test_logs_are_kept_in_a_folder_or_a_store(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setenv("LOGS_URL", place)

    assert ours.logs_url() == place


def test_a_folder_of_logs_may_be_written_as_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGS_URL", "file:///srv/logs")

    assert ours.logs_url() == "/srv/logs"


@pytest.mark.parametrize("url", ["postgres://db:port/x", "postgres://db:99999/x"])
def test_a_database_whose_port_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)

    assert refused(ours.database).startswith("DATABASE_URL cannot be read; use postgres://")


def test_a_secret_is_read_from_the_environment_before_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ours, "DATA_DIR", tmp_path)
    monkeypatch.setenv("KEY", " from outside ")

    assert ours.kept_secret("KEY", "key", lambda: "made") == "from outside"
    assert list(tmp_path.iterdir()) == []


def test_a_secret_is_made_once_and_never_seen_half_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ours, "DATA_DIR", tmp_path)
    monkeypatch.delenv("KEY", raising=False)

    def make() -> str:
        assert not (tmp_path / "key").exists(), "who starts at the same time would read an empty one"
        return "made"

    assert ours.kept_secret("KEY", "key", make) == "made"
    assert ours.kept_secret("KEY", "key", lambda: "another") == "made"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_of_two_that_start_at_once_both_use_what_the_first_has_made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ours, "DATA_DIR", tmp_path)
    monkeypatch.delenv("KEY", raising=False)

    def make() -> str:
        (tmp_path / "key").write_text("the other's")
        return "ours, a moment late"

    assert ours.kept_secret("KEY", "key", make) == "the other's"


def test_keys_stand_between_commas_the_newest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRETS_KEYS", f" {KEYS[0]}, {KEYS[1]} ,")

    assert ours.secrets_keys() == KEYS


@pytest.mark.parametrize("wrong", ["hunter2hunter2", KEYS[1][:-5], "x" * 44, "é" * 44])
def test_a_key_that_is_none_stops_the_start_and_is_not_told(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("SECRETS_KEYS", f"{KEYS[0]},{wrong}")

    said = refused(ours.secrets_keys)

    assert said == "SECRETS_KEYS: key 2 is no Fernet key: 32 bytes in URL-safe base64."


def test_names_that_look_like_ours_and_are_not_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_WORKERS", "3")

    assert refused(ours.refuse_unknown_names).startswith("ORCHESTRATOR_WORKERS is not a setting")
