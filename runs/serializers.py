"""What the API says about runs and block runs, and what it takes to start, cancel and retry one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from pipelines.serializers import Instant, JSONObject, StrictSerializer, Text
from runs import kinship
from runs.figures import metrics
from runs.models import BlockRun, Origin, PipelineRun
from runs.overview import members_of
from runs.states import BlockStatus, RunStatus


def seconds_between(start: datetime | None, end: datetime | None) -> float | None:
    return round((end - start).total_seconds(), 3) if start and end else None


class PipelineRunSerializer(serializers.ModelSerializer[PipelineRun]):
    """A run as lists show it. `duration` is in seconds, null until it is finished."""

    class Meta:
        model = PipelineRun
        fields = [
            "id",
            "pipeline_uuid",
            "pipeline_schedule_id",
            "pipeline_schedule_name",
            "status",
            "attempt",
            "origin",
            "execution_date",
            "variables",
            "executor_type",
            "started_by",
            "reason",
            "created_at",
            "started_at",
            "completed_at",
            "duration",
            "is_kept",
            "sla_at",
            "passed_sla",
            "parent_block_run_id",
        ]
        read_only_fields = fields

    pipeline_uuid = serializers.CharField(source="pipeline.uuid", read_only=True)
    pipeline_schedule_id = serializers.IntegerField(source="trigger_id", allow_null=True, read_only=True)
    pipeline_schedule_name = serializers.CharField(source="trigger_name", read_only=True)
    status = serializers.ChoiceField(choices=[(state.value, state.name) for state in RunStatus], read_only=True)
    origin = serializers.ChoiceField(choices=Origin.choices, read_only=True)
    executor_type = serializers.CharField(source="executor", read_only=True)
    variables = JSONObject(read_only=True)
    parent_block_run_id = serializers.IntegerField(read_only=True, allow_null=True)
    duration = serializers.SerializerMethodField()

    def get_duration(self, run: PipelineRun) -> float | None:
        return seconds_between(run.started_at, run.completed_at)


class BlockErrorSerializer(StrictSerializer):
    type = Text(read_only=True)
    message = Text(read_only=True)


class BlockRunSerializer(serializers.ModelSerializer[BlockRun]):
    """A block run as lists show it. `duration` is of the current attempt, in seconds; `error` null unless it failed.

    Of a block below a dynamic one `members_total` says how many times it runs and `members` how many of those stand
    how; both are null until its items are known. They are listed by `parent_id`; `item_index` says of which items.
    """

    class Meta:
        model = BlockRun
        fields = [
            "id",
            "pipeline_run_id",
            "block_uuid",
            "role",
            "parent_id",
            "item_index",
            "members_total",
            "members",
            "name",
            "type",
            "status",
            "attempt",
            "upstream",
            "downstream",
            "executor_type",
            "reason",
            "error",
            "queued_at",
            "started_at",
            "completed_at",
            "next_attempt_at",
            "sla_at",
            "passed_sla",
            "duration",
        ]
        read_only_fields = fields

    pipeline_run_id = serializers.IntegerField(read_only=True)
    parent_id = serializers.IntegerField(read_only=True, allow_null=True)
    item_index = serializers.ListField(child=serializers.IntegerField(), read_only=True)
    members = serializers.SerializerMethodField()
    status = serializers.ChoiceField(choices=[(state.value, state.name) for state in BlockStatus], read_only=True)
    upstream = serializers.ListField(child=Text(), read_only=True)
    downstream = serializers.ListField(child=Text(), read_only=True)
    executor_type = serializers.CharField(source="executor", read_only=True)
    error = serializers.SerializerMethodField()
    duration = serializers.SerializerMethodField()

    @extend_schema_field(serializers.DictField(child=serializers.IntegerField(), allow_null=True))
    def get_members(self, block_run: BlockRun) -> dict[str, int] | None:
        if block_run.members_total is None:
            return None
        context: dict[str, Any] = self.context  # type: ignore[assignment]  # the root's own: one look for all blocks
        known = context.setdefault("members of runs", {})
        if block_run.pipeline_run_id not in known:
            known[block_run.pipeline_run_id] = members_of(block_run.pipeline_run_id)
        return dict(known[block_run.pipeline_run_id].get(block_run.pk, {}))

    @extend_schema_field(BlockErrorSerializer(allow_null=True))
    def get_error(self, block_run: BlockRun) -> dict[str, str] | None:
        error = {name: block_run.error.get(name, "") for name in ("type", "message")}
        return error if block_run.error else None

    def get_duration(self, block_run: BlockRun) -> float | None:
        return seconds_between(block_run.started_at, block_run.completed_at)


class BlockRunDetailSerializer(BlockRunSerializer):
    """With the traceback, trimmed to the user's code, and what it used."""

    class Meta(BlockRunSerializer.Meta):
        figures = ["metrics", "heartbeat_at", "retries", "losses", "pokes"]
        fields = [*BlockRunSerializer.Meta.fields, "traceback", *figures, "children"]
        read_only_fields = fields

    traceback = serializers.CharField(source="error.traceback", default="", read_only=True)
    metrics = serializers.SerializerMethodField()
    children = serializers.SerializerMethodField()

    @extend_schema_field(PipelineRunSerializer(many=True))
    def get_children(self, block_run: BlockRun) -> list[Any]:
        """The runs that it started, the newest first, at most 50."""
        return list(PipelineRunSerializer(kinship.started_by(block_run), many=True).data)

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_metrics(self, block_run: BlockRun) -> dict[str, Any]:
        """Seconds of waiting, starting, running and of CPU, peak memory, rows and bytes of the latest attempt."""
        return metrics.of_block(block_run)


class AttemptSerializer(StrictSerializer):
    """One attempt at a block. `ended_as` is empty while it goes on; `run_attempt` is the attempt of the whole run."""

    number = serializers.IntegerField(read_only=True)
    run_attempt = serializers.IntegerField(read_only=True)
    ended_as = serializers.CharField(read_only=True)
    queued_at = serializers.DateTimeField(read_only=True, allow_null=True)
    started_at = serializers.DateTimeField(read_only=True, allow_null=True)
    ended_at = serializers.DateTimeField(read_only=True, allow_null=True)
    duration = serializers.FloatField(read_only=True, allow_null=True)
    executor_type = serializers.CharField(source="executor", read_only=True)
    external_id = serializers.CharField(read_only=True)
    host = serializers.CharField(read_only=True)
    metrics = JSONObject(read_only=True)
    error = JSONObject(read_only=True)
    reason = serializers.CharField(read_only=True)


class AttemptsSerializer(StrictSerializer):
    results = AttemptSerializer(many=True, read_only=True)


class PipelineRunDetailSerializer(PipelineRunSerializer):
    """With its block runs in topological order, and the settings it carries.

    What a block below a dynamic one is run as is not among them, but counted in its `members`.
    """

    class Meta(PipelineRunSerializer.Meta):
        fields = [
            *PipelineRunSerializer.Meta.fields,
            "parent_pipeline_run_id",
            "is_awaited",
            "interval_end",
            "variable_origins",
            "event_variables",
            "allow_blocks_to_fail",
            "deadline_at",
            "version",
            "logs_removed_at",
            "outputs_removed_at",
            "metrics",
            "block_runs",
            "callbacks",
        ]
        read_only_fields = fields

    parent_pipeline_run_id = serializers.SerializerMethodField()
    is_awaited = serializers.BooleanField(read_only=True)
    variable_origins = serializers.SerializerMethodField()
    event_variables = JSONObject(source="event", read_only=True)
    version = serializers.CharField(source="version.content_hash", read_only=True)
    metrics = serializers.SerializerMethodField()
    block_runs = BlockRunSerializer(many=True, read_only=True)
    callbacks = serializers.SerializerMethodField()

    def get_parent_pipeline_run_id(self, run: PipelineRun) -> int | None:
        """The run one of whose blocks started this one."""
        if run.parent_block_run_id is None:
            return None
        return BlockRun.objects.values_list("pipeline_run_id", flat=True).get(pk=run.parent_block_run_id)

    @extend_schema_field(BlockRunSerializer(many=True))
    def get_callbacks(self, run: PipelineRun) -> list[Any]:
        if not run.callbacks:
            return []
        called = BlockRun.objects.filter(pipeline_run=run).called_for_page()  # run.block_runs may be prefetched
        return list(BlockRunSerializer(called, many=True).data)

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_metrics(self, run: PipelineRun) -> dict[str, Any]:
        """Seconds of waiting, starting, running; sums of CPU, rows, bytes over the blocks; the peak memory."""
        return metrics.of_run(run)

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_variable_origins(self, run: PipelineRun) -> dict[str, str]:
        """Return where each variable is from: "pipeline", "schedule", "run" or "event"."""
        return run.origins_of_variables()


class StartSerializer(StrictSerializer):
    """The body that starts a run; all of it may be left out."""

    variables = JSONObject(required=False)
    execution_date = Instant(required=False)


class CancelSerializer(StrictSerializer):
    reason = Text(required=False, max_length=400)


class LogLineSerializer(StrictSerializer):
    offset = serializers.IntegerField(read_only=True)
    time = serializers.DateTimeField(read_only=True)
    stream = serializers.CharField(read_only=True)
    level = serializers.CharField(read_only=True)
    text = serializers.CharField(read_only=True)


class BlockLogSerializer(StrictSerializer):
    """A page of one attempt's log; ask again with `offset=next_offset` until `at_end`."""

    attempt = serializers.IntegerField(read_only=True)
    lines = LogLineSerializer(many=True, read_only=True)
    next_offset = serializers.IntegerField(read_only=True)
    at_end = serializers.BooleanField(read_only=True)


class RunLogLineSerializer(LogLineSerializer):
    block_uuid = serializers.CharField(read_only=True)
    block_run_id = serializers.IntegerField(read_only=True)


class RunLogSerializer(StrictSerializer):
    """A page of a run's log, block after block. `next` is null when the run is finished and all was shown."""

    results = RunLogLineSerializer(many=True, read_only=True)
    next = serializers.URLField(allow_null=True, read_only=True)


class OutputSerializer(StrictSerializer):
    """One output of a block: what it is, how large, and a small preview."""

    name = serializers.CharField(read_only=True)
    type = serializers.CharField(read_only=True)
    rows = serializers.IntegerField(allow_null=True, read_only=True)
    bytes = serializers.IntegerField(read_only=True)
    preview = JSONObject(read_only=True, allow_null=True)
    formats = serializers.ListField(child=serializers.CharField(), read_only=True)


class OutputsSerializer(StrictSerializer):
    results = OutputSerializer(many=True, read_only=True)


def log_line(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of runs.logs under the API's names."""
    return {"offset": line["o"], "time": line["t"], "stream": line["s"], "level": line["l"], "text": line["m"]}
