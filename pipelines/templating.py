"""`{{ … }}` in a project's yaml files.

`env_var('X')` and `json_value(…)` are filled in when a file is read. What asks for a secret, and what only a run knows
(`variables('x')`, `execution_date`), stays as it is written, so that no secret is ever stored with a pipeline:
`reveal` fills it in when a block is about to run.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import StrictUndefined, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pipelines.files import FileFault, shown
from pipelines.refusal import Refusal

EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
MAX_EXPRESSIONS = 1000
SECRET_NAMES = re.compile(r"""\b(?:mage_)?secret_var\(\s*(?:secret_name\s*=\s*)?(['"])([^'"\n]{1,100})\1""")
SECRET_FUNCTIONS = ("secret_var", "mage_secret_var")
# Mage's doors to managers that are not connected here.
FOREIGN_FUNCTIONS = ("aws_secret_var", "azure_secret_var")
# What keeps this product safe is not for a project's files to read (blocks don't see it either).
HIDDEN_ENVIRONMENT = frozenset({"SECRET_KEY", "SECRETS_KEYS", "DATABASE_URL", "REDIS_URL"})
# Characters of private use stand for what is left as written, so that yaml reads it as a plain piece of text.
OPEN, CLOSE = "\ue000", "\ue001"
LEFT = re.compile(f"{OPEN}([0-9]+){CLOSE}")


class Sandbox(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**", "%"})  # 'x' * 10**10 would fill the memory

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        raise SecurityError(f"{operator} is not allowed in a {{{{ … }}}}")


SANDBOX = Sandbox(undefined=StrictUndefined)


class Rendered:
    """Text with its `{{ … }}` filled in; `restore` puts back what was left as written."""

    def __init__(self, text: str, left: list[str]) -> None:
        self.text = text
        self.left = left

    def restore(self, text: str) -> str:
        return LEFT.sub(lambda match: self.left[int(match[1])], text) if OPEN in text else text


def render(text: str, *, file: str, env: Mapping[str, str]) -> Rendered:
    """Fill in what can be known now; raise FileFault with the line for what cannot be read."""
    if OPEN in text or CLOSE in text:
        raise FileFault("The file contains a character of private use (U+E000 or U+E001).", file=file)
    left: list[str] = []

    def fill(match: re.Match[str]) -> str:
        line = text.count("\n", 0, match.start()) + 1
        if in_comment(text, match.start()):
            return match[0]
        try:
            value = evaluate(match[1], known_at_reading(env))
        except Refusal as refusal:
            raise FileFault(refusal.message, file=file, line=line, hint=refusal.hint) from None
        if value is not None:
            return value
        left.append(match[0])
        # As many line breaks as before, so that later lines keep their numbers.
        return f"{OPEN}{len(left) - 1}{CLOSE}" + "\n" * match[0].count("\n")

    if "{{" not in text and "{%" not in text:
        return Rendered(text, [])
    refuse_statements(text, file)
    if text.count("{{") > MAX_EXPRESSIONS:
        raise FileFault(f"There are more than {MAX_EXPRESSIONS} {{{{ … }}}}.", file=file, hint="Write the values out.")
    return Rendered(substitute(fill, text), left)


def protect(text: str) -> Rendered:
    """Put a mark in the place of each `{{ … }}`, for edits of the text around them; `restore` puts them back."""
    left: list[str] = []

    def keep(match: re.Match[str]) -> str:
        left.append(match[0])
        return f"{OPEN}{len(left) - 1}{CLOSE}"

    return Rendered(substitute(keep, text), left)


def substitute(fill: Callable[[re.Match[str]], str], text: str) -> str:
    end = text.rfind("}}") + 2  # without this, a text of a million "{{" would be searched a million times
    return EXPRESSION.sub(fill, text[:end]) + text[end:] if end > 1 else text


def refuse_statements(text: str, file: str) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if "{%" in line and not line.lstrip().startswith("#"):
            raise FileFault("{% … %} is not supported here.", file=file, line=number, hint="Use {{ … }}.")


def in_comment(text: str, position: int) -> bool:
    return text[text.rfind("\n", 0, position) + 1 : position].lstrip().startswith("#")


def evaluate(expression: str, names: Mapping[str, Any]) -> str | None:
    """Return the expression's value as text ("" for none), None if it uses a name that is not among `names`."""
    try:
        tree = SANDBOX.parse("{{" + expression + "}}")
        used = {node.name for node in tree.find_all(nodes.Name)}
        if not used <= names.keys():
            return None
        value = SANDBOX.compile_expression(expression.strip(), undefined_to_none=False)(**names)
        return "" if value is None else str(value)
    except Refusal:
        raise
    except Exception as error:  # users' code: it may do anything that an expression can
        raise Refusal(f"{{{{{shown(expression)}}}}} cannot be read: {error}.", hint="Correct the expression.") from None


def known_at_reading(env: Mapping[str, str]) -> dict[str, Any]:
    def env_var(name: str, default: str | None = None) -> str | None:
        return default if name in HIDDEN_ENVIRONMENT else env.get(name, default)

    return {"env_var": env_var, "json_value": json_value}


def json_value(text: str | None, key: str, default: Any = None) -> Any:
    """Return one value of a JSON object given as text (Mage's function of that name)."""
    if text is None:
        return default
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        raise Refusal("json_value() was given a text that is not JSON.") from None
    return data.get(key, default) if isinstance(data, dict) else default


def secret_names(value: Any) -> set[str]:
    """Return the names of the secrets that texts anywhere in `value` ask for."""
    if isinstance(value, str):
        return {match[2] for match in SECRET_NAMES.finditer(value)} if "{{" in value else set()
    if isinstance(value, Mapping):
        return {name for each in value.values() for name in secret_names(each)}
    if isinstance(value, list | tuple):
        return {name for each in value for name in secret_names(each)}
    return set()


def reveal(value: Any, secret: Callable[[str], str | None]) -> Any:
    """Return `value` with the secrets in its texts filled in; what else is between `{{` and `}}` stays as it is.

    Only for what comes from the project's files: never for what a request or a trigger sent. Raises Refusal for a
    secret that is not stored.
    """
    if isinstance(value, str):
        return reveal_text(value, secret)
    if isinstance(value, Mapping):
        return {key: reveal(each, secret) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [reveal(each, secret) for each in value]
    return value


def reveal_text(text: str, secret: Callable[[str], str | None]) -> str:
    """Fill secrets into `{{ … }}`; other expressions stay. Raise Refusal for a secret that is not stored."""

    def stored(name: str) -> str:
        if (value := secret(name)) is None:
            message = f"The secret {name[:80]!r} is not stored."
            raise Refusal(message, field="secret", hint="Add it under Secrets.", code="unknown_secret")
        return value

    def foreign(*_: Any) -> str:
        hint = "Store the value as a secret and use secret_var('name')."
        raise Refusal("Secrets of AWS and Azure cannot be read here.", field="secret", hint=hint)

    names = known_at_reading(os.environ) | dict.fromkeys(SECRET_FUNCTIONS, stored)
    names.update(dict.fromkeys(FOREIGN_FUNCTIONS, foreign))

    def fill(match: re.Match[str]) -> str:
        if not any(name in match[1] for name in (*SECRET_FUNCTIONS, *FOREIGN_FUNCTIONS)):
            return match[0]
        value = evaluate(match[1], names)
        return match[0] if value is None else value

    return substitute(fill, text)
