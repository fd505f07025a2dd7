"""Mage's trigger addresses: whoever has an API trigger's token starts its pipeline, without an account."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotAuthenticated, NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from pipelines.filters import check_parameters
from pipelines.parsers import AnyTypeJSONParser
from pipelines.refusal import Refusal
from pipelines.serializers import right_name
from runs.models import Origin, PipelineRun
from runs.repeats import start_once
from schedules import scheduler
from schedules.models import PipelineSchedule, ScheduleType
from schedules.serializers import TriggerAnswerSerializer


class MageTrigger(APIView):
    """`POST /api/pipeline_schedules/<id>/pipeline_runs/<token>`, or with the token as Bearer.

    The body is `{"pipeline_run": {"variables": {…}}}` or the bare variables. 401 for a wrong token, 404 for what is
    no API trigger, 409 while it is inactive (it is never switched on by a call).
    """

    # The token is the only credential here; cookies are not looked at, so any content type is safe to read.
    authentication_classes = ()
    permission_classes = ()
    parser_classes = (AnyTypeJSONParser,)
    http_method_names = ["post"]

    @extend_schema(exclude=True, responses=TriggerAnswerSerializer)
    def post(self, request: Request, schedule_id: str, token: str | None = None) -> Response:
        check_parameters(request, ())
        schedule = find(schedule_id)
        if not schedule.token_matches(token if token is not None else bearer(request)):
            raise NotAuthenticated
        check_active(schedule)
        variables = read_variables(request.data)
        run, _ = start_once(
            request,
            owner=f"trigger:{schedule.pk}",
            start=lambda key, digest: scheduler.start_now(
                schedule,
                moment=timezone.now(),
                variables=variables,
                origin=Origin.API,
                idempotency_key=key,
                request_digest=digest,
            ),
        )
        # 200 and not 201: it is what Mage's callers look for.
        return Response({"pipeline_run": in_mages_shape(run, schedule)})

    def get_authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="trigger"'


def find(schedule_id: str) -> PipelineSchedule:
    found = PipelineSchedule.objects.ready_to_start().filter(pk=int(schedule_id), schedule_type=ScheduleType.API)
    schedule = found.first()
    if schedule is None:
        raise NotFound("There is no such API trigger.")
    return schedule


def bearer(request: Request) -> str:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    return text.strip() if scheme.lower() in ("bearer", "token") else ""


def check_active(schedule: PipelineSchedule) -> None:
    """Raise `Refusal` (409) for a paused trigger."""
    if not schedule.is_active:
        raise Refusal(
            f"The trigger {schedule.name!r} is inactive.", hint="Someone must resume it first.", code="inactive"
        )


def read_variables(body: Any) -> dict[str, Any]:
    """Return the variables in either of Mage's shapes; raise `Refusal` for what is none."""
    if isinstance(body, Mapping) and "pipeline_run" in body:
        if set(body) != {"pipeline_run"}:
            raise Refusal("Beside pipeline_run, nothing else is read.", field="pipeline_run", hint=SHAPE)
        inner = body["pipeline_run"]
        if not isinstance(inner, Mapping):
            raise Refusal("pipeline_run must be a JSON object.", field="pipeline_run", hint=SHAPE)
        for name in inner:
            if name != "variables":
                raise Refusal(
                    f"Unknown field: {str(name)[:80]}.",
                    field=f"pipeline_run.{str(name)[:80]}",
                    hint=right_name(str(name), ["variables"]),
                    code="unknown_field",
                )
        body = inner.get("variables") or {}
    if not isinstance(body, Mapping):
        raise Refusal("Variables must be a JSON object.", field="variables", hint=SHAPE)
    return dict(body)


SHAPE = 'Send {"pipeline_run": {"variables": {…}}} or the variables alone.'


def in_mages_shape(run: PipelineRun, schedule: PipelineSchedule) -> dict[str, Any]:
    return {
        "id": run.pk,
        "status": run.status,
        "execution_date": run.execution_date,
        "pipeline_uuid": schedule.pipeline.uuid,
        "pipeline_schedule_id": schedule.pk,
        "variables": run.variables,
    }
