"""One verb for many runs in the API: told first, then done."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from pipelines.filters import allowed_parameters, check_name, narrowed
from pipelines.refusal import Refusal
from pipelines.serializers import Choice, Flag, JSONObject, StrictSerializer, Text
from pipelines.viewsets import Resource, validated
from runs.bulk import verbs as bulk
from runs.models import PipelineRun
from runs.serializers import PipelineRunSerializer


class RunsBulkSerializer(StrictSerializer):
    """`filter` has the names of the list's query: {"status": "failed", "created_at__gte": "…", "id__in": [1, 2]}.

    `incomplete`, `whole` and `version` are for `retry` as for that of one run, `reason` for `cancel`. With `dry_run`
    the answer tells which runs it would be and gives the `token` without which nothing is done.
    """

    filter = JSONObject()
    verb = Choice(choices=list(bulk.VERBS))
    incomplete = Flag(required=False)
    whole = Flag(required=False)
    version = Choice(choices=["pinned", "current"], required=False)
    reason = Text(required=False, max_length=400)
    dry_run = Flag(required=False, default=False)
    token = Text(required=False, max_length=200)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        beside = {"retry": {"incomplete", "whole", "version"}, "cancel": {"reason"}}.get(attrs["verb"], set())
        for name in {"incomplete", "whole", "version", "reason"} & attrs.keys() - beside:
            raise serializers.ValidationError({name: f"Not for {attrs['verb']}."}, code="contradiction")
        if "incomplete" in attrs and attrs["incomplete"] == attrs.get("whole", not attrs["incomplete"]):
            raise serializers.ValidationError("Give incomplete or whole, not both.", code="contradiction")
        return attrs


class RunsBulkAnswerSerializer(StrictSerializer):
    """Of a dry run: `count`, `sample` and `token`. Of what was done: `count`, `done`, `refused` and `results`."""

    count = serializers.IntegerField(read_only=True)
    sample = PipelineRunSerializer(many=True, read_only=True, required=False)
    token = serializers.CharField(read_only=True, required=False)
    done = serializers.IntegerField(read_only=True, required=False)
    refused = serializers.IntegerField(read_only=True, required=False)
    results = serializers.ListField(child=serializers.DictField(), read_only=True, required=False)


class BulkActions(Resource):
    @extend_schema(request=RunsBulkSerializer, responses=RunsBulkAnswerSerializer, filters=False)
    @action(detail=False, methods=["post"], pagination_class=None)
    def bulk(self, request: Request) -> Response:
        """Cancel, retry, keep or unkeep every run that fits a filter, at most 1,000 at a time.

        Ask with `dry_run` first and send the `token` it gives: 409 when other runs match by then. Each run is done
        for itself: `results` says of each whether it was, or why not.
        """
        wanted = validated(RunsBulkSerializer, request)
        order, asked = order_of(wanted), texts(wanted["filter"])
        for name in asked:
            check_name(name, allowed_parameters(self.filters, self.search_fields))
        runs = narrowed(PipelineRun.objects.all(), asked, self.filters, self.search_fields)
        if wanted["dry_run"]:
            told = bulk.preview(runs, order, asked)
            sample = PipelineRunSerializer(told.sample, many=True).data
            return Response({"count": told.count, "sample": sample, "token": told.token})
        if "token" not in wanted:
            hint = "Ask with dry_run: true first; its answer has the token."
            raise Refusal("The token of a preview is missing.", field="token", hint=hint, code="required")
        by = request.user.get_username()
        results = bulk.perform(runs, order, asked, wanted["token"], moment=timezone.now(), by=by)
        return Response(results_as_dict(results))


def order_of(wanted: Mapping[str, Any]) -> bulk.Order:
    whole = wanted.get("whole", not wanted.get("incomplete", True))
    return bulk.Order(
        verb=wanted["verb"], whole=whole, version=wanted.get("version", "pinned"), reason=wanted.get("reason", "")
    )


def texts(given: Mapping[str, Any]) -> dict[str, str]:
    """Return the filter as a query string would have it; raise Refusal for what none could."""
    found = {}
    for name, value in given.items():
        values = value if isinstance(value, list) else [value]
        if any(isinstance(each, bool) or not isinstance(each, str | int) for each in values):
            hint = "Give text, a number, or a list of these for a name that ends in __in."
            raise Refusal(f"filter.{name[:80]} is neither text nor a number.", field="filter", hint=hint)
        found[name] = ",".join(str(each) for each in values)
    return found


def results_as_dict(results: list[bulk.Result]) -> dict[str, Any]:
    done = sum(result.done for result in results)
    told = [{"id": result.id, "done": result.done, "reason": result.reason} for result in results]
    return {"count": len(results), "done": done, "refused": len(results) - done, "results": told}
