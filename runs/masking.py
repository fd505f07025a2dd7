"""Keep the values of secrets out of what people see: logs, errors, previews of outputs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from executors.base import Outcome

SHORTEST = 8  # characters; a shorter value would tear holes into ordinary text
STARS = "***"
KEPT = ("url", "type")  # of an output: where it is and how it is read; no user's code says these


def maskable(secrets: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values to look for, longest first, lines of a multi-line secret one by one too."""
    values = {value for secret in secrets.values() for value in (secret, *secret.splitlines())}
    return tuple(sorted((value for value in values if len(value) >= SHORTEST), key=len, reverse=True))


def mask_text(text: str, values: tuple[str, ...]) -> str:
    for value in values:
        text = text.replace(value, STARS)
    return text


def mask_outcome(outcome: Outcome, values: tuple[str, ...]) -> Outcome:
    """Return the outcome with the values masked in its failure and in everything of its result."""
    if not values:
        return outcome
    failure = outcome.failure
    if failure is not None:
        failure = replace(failure, **{name: mask_text(text, values) for name, text in failure.as_dict().items()})
    return replace(outcome, failure=failure, result=mask_tree(outcome.result, values))


def mask_tree(tree: Any, values: tuple[str, ...]) -> Any:
    if isinstance(tree, str):
        return mask_text(tree, values)
    if isinstance(tree, Mapping):
        return {key: value if key in KEPT else mask_tree(value, values) for key, value in tree.items()}
    if isinstance(tree, list):
        return [mask_tree(value, values) for value in tree]
    return tree
