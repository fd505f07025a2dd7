"""What the API says about pipelines, and the base of every serializer: exact types, and nothing ignored."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from pipelines.models import Pipeline
from pipelines.refusal import Refusal

LONGEST_SECONDS = 31_536_000  # a year
SENSIBLE_YEARS = range(1900, 9000)  # further out, later arithmetic overflows


def right_name(name: str, names: Iterable[str]) -> str:
    """Say which of `names` was probably meant, or which there are; "" when there are none."""
    known = sorted(names)
    if close := get_close_matches(name[:200], known, n=1):
        return f"Did you mean {close[0]}?"
    return f"Allowed: {', '.join(known)}." if known else ""


def read_instant(text: str, *, field: str) -> datetime:
    """Return the aware moment written in ISO 8601, or raise `Refusal`."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None and moment.year in SENSIBLE_YEARS:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Refusal(
        f"{text[:80]!r} is not a moment.",
        field=field,
        hint="Use ISO 8601 with a zone, for example 2025-02-28T00:00:00Z.",
        code="invalid_datetime",
    )


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know and fields that cannot be set; names the nearest one."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        if data is not serializers.empty and not isinstance(data, Mapping):
            raise serializers.ValidationError({"non_field_errors": ["Send a JSON object."]}, code="not_an_object")
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> Any:
        mistakes = {name: self.mistake(name) for name in map(str, data) if not self.is_writable(name)}
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            found = error.detail if isinstance(error.detail, dict) else {"non_field_errors": error.detail}
            raise serializers.ValidationError({**mistakes, **found}) from None
        if mistakes:
            raise serializers.ValidationError(mistakes)
        return value

    def is_writable(self, name: str) -> bool:
        return name in self.fields and not self.fields[name].read_only

    def mistake(self, name: str) -> serializers.ErrorDetail:
        if name in self.fields:
            return serializers.ErrorDetail(f"{name} is read-only.", code="read_only")
        writable = [str(known) for known in self.fields if self.is_writable(str(known))]
        return serializers.ErrorDetail(
            f"Unknown field: {name[:80]}. {right_name(name, writable)}".strip(), code="unknown_field"
        )


class Text(serializers.CharField):
    """Text only: no number is turned into text."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("Text is wanted.", code="not_text")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError("true or false is wanted.", code="not_a_boolean")
        return data


class Whole(serializers.IntegerField):
    """A whole number, written as one."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            raise serializers.ValidationError("A whole number is wanted.", code="not_a_whole_number")
        return super().to_internal_value(data)


class Choice(serializers.ChoiceField):
    """One of a few words; a mistake is told with those that there are."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or data not in self.choices:
            raise serializers.ValidationError(
                f"{str(data)[:80]!r} is not known. Allowed: {', '.join(map(str, self.choices))}.", code="invalid_choice"
            )
        return super().to_internal_value(data)


class Instant(serializers.DateTimeField):
    """A moment in ISO 8601 with its offset."""

    def to_internal_value(self, value: Any) -> datetime:
        try:
            return read_instant(value if isinstance(value, str) else str(value), field=self.field_name or "")
        except Refusal as refusal:
            raise serializers.ValidationError(str(refusal), code=refusal.code) from None


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": LONGEST_SECONDS, "description": "Seconds."})
class Seconds(serializers.Field[timedelta, Any, int, Any]):
    """A length of time in whole seconds, up to a year."""

    def to_internal_value(self, data: Any) -> timedelta:
        if isinstance(data, bool) or not isinstance(data, int) or not 1 <= data <= LONGEST_SECONDS:
            raise serializers.ValidationError(
                f"A whole number of seconds from 1 to {LONGEST_SECONDS:,} is wanted.".replace(",", " "),
                code="invalid_seconds",
            )
        return timedelta(seconds=data)

    def to_representation(self, value: timedelta) -> int:
        return round(value.total_seconds())


@extend_schema_field(OpenApiTypes.OBJECT)
class JSONObject(serializers.Field[dict[str, Any], Any, dict[str, Any], Any]):
    """A JSON object with any content."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            raise serializers.ValidationError("A JSON object is wanted.", code="not_an_object")
        return data

    def to_representation(self, value: dict[str, Any]) -> dict[str, Any]:
        return value


class ProblemSerializer(StrictSerializer):
    """What is wrong with a pipeline's files, and where."""

    file = Text(read_only=True)
    line = Whole(read_only=True, allow_null=True)
    reason = Text(read_only=True)
    hint = Text(read_only=True)


class PipelineSerializer(serializers.ModelSerializer[Pipeline]):
    class Meta:
        model = Pipeline
        about = ("name", "description", "type", "tags", "owner")
        fields = ["uuid", *about, "is_valid", "problems", "created_at", "updated_at"]
        read_only_fields = fields

    tags = serializers.ListField(child=Text(), read_only=True)
    problems = ProblemSerializer(many=True, read_only=True)


class PipelineDetailSerializer(PipelineSerializer):
    """With the blocks of its current version."""

    class Meta(PipelineSerializer.Meta):
        fields = [*PipelineSerializer.Meta.fields, "version", "graph", "variables"]
        read_only_fields = fields

    version = serializers.CharField(source="current_version.content_hash", default=None, read_only=True)
    graph = JSONObject(source="current_version.graph", default=None, read_only=True)
    # Of its settings only these: others, such as where to send notifications, may hold secrets.
    variables = JSONObject(source="current_version.settings.variables", default=None, read_only=True)
