"""`{{ … }}` in yaml: what is filled in when a file is read, and what only when a block runs."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import process_time

import pytest

from pipelines.files import FileFault, Stamp, TextFile
from pipelines.refusal import Refusal
from pipelines.templating import reveal, secret_names
from pipelines.yaml_files import parse
from tests.pipelines.project_on_disk import ProjectOnDisk

ENV = {"REGION": "eu", "LIMIT": "7", "SECRET_KEY": "do not tell", "DATABASE_URL": "postgres://u:p@h/n"}
SECRETS: Callable[[str], str | None] = {"key": "hunter22hunter", "json": '{"user": "ada"}'}.get


def read(text: str) -> object:
    return parse(TextFile("x.yaml", text, "", Stamp(0, 0)), env=ENV).data


def fault(text: str) -> FileFault:
    with pytest.raises(FileFault) as caught:
        read(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{ env_var('REGION') }}", "eu"),
        ("'{{ env_var(\"REGION\") }}'", "eu"),
        ("in {{env_var('REGION')}}-{{ env_var('LIMIT') }}", "in eu-7"),
        ("{{ env_var('LIMIT') }}", 7),
        ("{{ env_var('MISSING') }}", None),
        ("'{{ env_var(\"MISSING\") }}'", ""),
        ("{{ env_var('MISSING', 'else') }}", "else"),
        ("{{ env_var('REGION') | upper }}", "EU"),
        ("{{ env_var('REGION') ~ '-1' }}", "eu-1"),
        ("{{ json_value('{\"a\": 5}', 'a') }}", 5),
        ("{{ 1 + 1 }}", 2),
    ],
)
def test_the_environment_is_filled_in_when_a_file_is_read(text: str, value: object) -> None:
    assert read(f"a: {text}\n") == {"a": value}


@pytest.mark.parametrize("name", ["SECRET_KEY", "SECRETS_KEYS", "DATABASE_URL", "REDIS_URL"])
def test_what_keeps_the_product_safe_is_not_told(name: str) -> None:
    assert read(f"a: \"{{{{ env_var('{name}', 'hidden') }}}}\"\n") == {"a": "hidden"}


@pytest.mark.parametrize(
    "expression",
    [
        "{{ mage_secret_var('key') }}",
        "{{ secret_var('key') }}",
        "{{ variables('x') }}",
        "{{ execution_date }}",
        "{{ execution_date.strftime('%Y') }}",
        "{{ aws_secret_var('key') }}",
        "{{ azure_secret_var('key') }}",
        "{{ block_output('load', parse=lambda_) }}",
        "{{ env_var('REGION') ~ secret_var('key') }}",
        "{{ range(10) }}",
    ],
)
def test_what_only_a_run_knows_stays_as_it_is_written(expression: str) -> None:
    assert read(f"plain: {expression}\n") == {"plain": expression}
    assert read(f"list: [{expression}, 'x {expression} y']\n") == {"list": [expression, f"x {expression} y"]}
    assert read(f"{expression}: key\n") == {expression: "key"}


def test_lines_after_an_expression_over_several_lines_keep_their_numbers() -> None:
    assert fault("a: {{ variables(\n  'x'\n  ) }}\nb: 1\nb: 2\n").line == 5


def test_comments_are_left_alone() -> None:
    assert read("# {{ broken( }} {% for %}\n  # {{ also( }}\na: 1\n") == {"a": 1}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("x: 1\na: \"{{ env_var('X' }}\"\n", 2, "cannot be read"),
        ("a: {{ env_var() }}\n", 1, "cannot be read"),
        ("a: {{ env_var('REGION').nothing }}\n", 1, "cannot be read"),
        ("a: {{ 1 / 0 }}\n", 1, "cannot be read"),
        ("a: {{ 'x' * 1000000000 }}\n", 1, "* is not allowed"),
        ("a: {{ 9 ** 9 ** 9 ** 9 }}\n", 1, "** is not allowed"),
        ("a: {{ '%1000000000d' % 1 }}\n", 1, "% is not allowed"),
        ("a: {{ ''.__class__.__mro__ }}\n", 1, "cannot be read"),
        ("a: {{ json_value('no json', 'a') }}\n", 1, "that is not JSON"),
        ("b: 1\n{% for x in y %}\na: 1\n{% endfor %}\n", 2, "{% … %} is not supported here."),
        ("a: \ue0000\ue001\n", None, "character of private use"),
    ],
)
def test_an_expression_that_cannot_be_read_is_told_with_its_line(text: str, line: int | None, message: str) -> None:
    told = fault(text)

    assert told.line == line
    assert message in told.message


@pytest.mark.parametrize("text", ["{{" * 500_000, "# {%" * 250_000, "{{" * 400_000 + "}}", "{{ 1 }}" * 140_000])
def test_a_large_file_of_braces_does_not_hold_the_reader_up(text: str) -> None:
    before = process_time()

    with suppress(FileFault):
        read(text)

    assert process_time() - before < 2


def test_no_secret_gets_into_a_definition(tmp_path: Path) -> None:
    disk = ProjectOnDisk(tmp_path / "shop")
    disk.chain("a")
    disk.write(
        "metadata.yaml",
        "variables: {key: \"{{ mage_secret_var('key') }}\"}\n"
        "notification_config: {slack_config: {webhook_url: \"{{ env_var('NAME') }}\"}}\n",
    )

    settings = disk.read(env={"NAME": "https://hooks.example.org/4711"}).settings

    assert settings["variables"] == {"key": "{{ mage_secret_var('key') }}"}
    assert "4711" not in str(settings)


def test_secrets_are_filled_in_when_asked_for() -> None:
    config = {
        "password": "{{ secret_var('key') }}",
        "url": "db://{{ json_value(mage_secret_var('json'), 'user') }}:{{ secret_var(\"key\") }}@host",
        "list": ["{{ variables('x') }}", 3, None, {"deep": "{{ secret_var('key')[:6] }}"}],
    }

    assert reveal(config, SECRETS) == {
        "password": "hunter22hunter",
        "url": "db://ada:hunter22hunter@host",
        "list": ["{{ variables('x') }}", 3, None, {"deep": "hunter"}],
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ secret_var('absent') }}", "The secret 'absent' is not stored."),
        ("{{ aws_secret_var('x') }}", "Secrets of AWS and Azure cannot be read here."),
        ("{{ secret_var('key' }}", "cannot be read"),
        ("{{ secret_var() }}", "cannot be read"),
    ],
)
def test_a_secret_that_cannot_be_had_is_refused_when_it_is_needed(text: str, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        reveal({"a": text}, SECRETS)

    assert message in caught.value.message


def test_names_of_secrets_are_found_wherever_they_are() -> None:
    value = {"a": ["{{ secret_var('one') }}", {"b": '{{ x(mage_secret_var( "two" )) }}'}], "c": "secret_var('three')"}

    assert secret_names(value) == {"one", "two"}
