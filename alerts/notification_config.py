"""Mage's notification_config, as it stands: one message per end of a run and service, written from the run's events.

What it asks for is known from the run's version; addresses, passwords and templates are read from the files when a
message is sent, so that they are stored nowhere.
"""

import logging
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError

from alerts.messages import url_of_run
from alerts.models import Delivery
from alerts.sending import services
from alerts.sending.outcomes import Outcome
from alerts.watching.event_cursor import AT_ONCE, EventCursor, Line
from pipelines import project, secrets
from pipelines.files import FileFault
from pipelines.models import PipelineVersion
from pipelines.notifications import addresses_of
from pipelines.templating import reveal
from runs import events
from runs.masking import mask_text
from runs.models import BlockRun, Event, PipelineRun
from runs.states import BlockStatus, RunStatus
from schedules.models import PipelineSchedule

logger = logging.getLogger(__name__)
BOOKMARK = "notification_config"
SOON = timedelta(milliseconds=200)
STACKTRACE_LINES = 50
# Kinds of events → what `alert_on` calls them, and whose words of `message_templates` are used.
ENDS = {
    "completed": ("trigger_success", "success"),
    "failed": ("trigger_failure", "failure"),
    "timed_out": ("trigger_failure", "failure"),
    "sla_passed": ("trigger_passed_sla", "passed_sla"),
}
PLACEHOLDERS = (
    "error",
    "execution_time",
    "pipeline_run_url",
    "pipeline_schedule_id",
    "pipeline_schedule_name",
    "pipeline_schedule_description",
    "pipeline_uuid",
    "stacktrace",
)
PLACEHOLDER = re.compile(rf"(?<!\{{)\{{({'|'.join(PLACEHOLDERS)})\}}(?!\}})")
FURTHER = "\nSee {pipeline_run_url}."
RUN = "The run of pipeline {pipeline_uuid} for {execution_time} "
WORDS = {
    "success": ("{pipeline_uuid} completed", RUN + "completed."),
    "failure": ("{pipeline_uuid} failed", RUN + "failed: {error}"),
    "passed_sla": ("{pipeline_uuid} is late", RUN + "is late: {error}"),
}


# --- writing --------------------------------------------------------------------------------------------------------


CURSOR = EventCursor(BOOKMARK)


def follow(moment: datetime) -> datetime | None:
    """Duty of the scheduler's loop: write what notification_configs ask for; return when to come for the rest.

    The first time ever nothing is told: it begins with what comes next.
    """
    lines = CURSOR.news(moment)
    for event in ends_among(lines):
        try:
            write_for_event(event, moment)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one of many: it is named, and left out
            logger.exception("nothing could be told about %s", event)
    if lines:
        CURSOR.save(moment)
    return moment + SOON if len(lines) >= AT_ONCE else None


def ends_among(lines: Sequence[Line]) -> Iterable[Event]:
    ids = [line.id for line in lines if line.kind in ENDS]
    if not ids:
        return []
    found = Event.objects.filter(pk__in=ids, block_run=None).order_by("id")
    return found.select_related("pipeline_run__pipeline", "pipeline_run__version").only(
        "kind", "message", "pipeline_run", *(f"pipeline_run__{name}" for name in OF_RUN)
    )


OF_RUN = (
    "status",
    "trigger_id",
    "trigger_name",
    "execution_date",
    "created_at",
    "started_at",
    "completed_at",
    "reason",
    "pipeline__uuid",
    "version__settings",
)


def write_for_event(event: Event, moment: datetime) -> int:
    """Write the messages that the run's notification_config asks for at this event; return how many are new."""
    run = event.pipeline_run
    wanted = asked_for(run.version)
    if event.kind not in ENDS or event.block_run_id is not None or not wanted:
        return 0
    if event.kind == "timed_out" and run.status == RunStatus.CANCELLED:
        return 0
    alert_on, words = ENDS[event.kind]
    if alert_on not in wanted["alert_on"]:
        return 0
    lanes = [lane(name, number) for name, count in wanted["services"].items() for number in range(count)]
    values = values_of(run, event)
    rows = [delivery_of(event, service, words, values, moment) for service in lanes]
    known = set(Delivery.objects.filter(dedupe_key__in=[row.dedupe_key for row in rows]).values_list("dedupe_key"))
    rows = [row for row in rows if (row.dedupe_key,) not in known]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    if rows:
        events.publish_work()
    return len(rows)


def asked_for(version: PipelineVersion) -> dict[str, Any]:
    """Return what the version's notification_config asks for; {} for nothing, or as an older release kept it."""
    wanted = version.settings.get("notification_config") or {}
    return wanted if isinstance(wanted.get("services"), dict) else {}


def lane(service: str, number: int) -> str:
    """Name one address of a service: "teams_config", "teams_config 2"."""
    return f"{service} {number + 1}" if number else service


def delivery_of(event: Event, service: str, words: str, values: Mapping[str, str], moment: datetime) -> Delivery:
    title, summary = WORDS[words]
    return Delivery(
        uuid=uuid.uuid4(),
        service=service,
        pipeline_uuid=event.pipeline_run.pipeline.uuid,
        run_id=event.pipeline_run_id,
        dedupe_key=f"event {event.pk} {service}",
        event_type=f"run.{words}",
        title=fill(title, values)[:300],
        body=fill(summary, values),
        data={"words": words, "values": dict(values)},
        created_at=moment,
        next_try_at=moment,
    )


def values_of(run: PipelineRun, event: Event) -> dict[str, str]:
    """Return what the placeholders stand for."""
    failed = None
    if ENDS[event.kind][1] == "failure":
        blocks = run.block_runs.of_graph().filter(status=BlockStatus.FAILED)
        failed = blocks.order_by("completed_at", "id").only("block_uuid", "error", "reason").first()
    description = PipelineSchedule.objects.filter(pk=run.trigger_id or 0).values_list("description", flat=True).first()
    return {
        "error": error_of(failed) if failed else run.reason or event.message,
        "execution_time": f"{run.execution_date:%Y-%m-%d %H:%M:%S} UTC",
        "pipeline_run_url": url_of_run(run.pk),
        "pipeline_schedule_id": str(run.trigger_id or ""),
        "pipeline_schedule_name": run.trigger_name,
        "pipeline_schedule_description": description or "",
        "pipeline_uuid": run.pipeline.uuid,
        "stacktrace": stacktrace_of(failed) if failed else "",
    }


def error_of(block_run: BlockRun) -> str:
    error = block_run.error
    said = f"{error.get('type', '')}: {error.get('message', '')}".strip(": ") or block_run.reason
    return f"block {block_run.block_uuid}: {said}"[:4000]


def stacktrace_of(block_run: BlockRun) -> str:
    lines = str(block_run.error.get("traceback") or "").rstrip().splitlines()
    return "\n".join(lines[-STACKTRACE_LINES:])


# --- sending --------------------------------------------------------------------------------------------------------


def send(delivery: Delivery, moment: datetime) -> Outcome:
    """Send a message to the service it is for, as the files say now."""
    service, _, number = delivery.service.partition(" ")
    try:
        config = current(delivery.pipeline_uuid)
        found = addresses_of(service, config)
        url = found[int(number or 1) - 1]
    except FileFault as fault:
        return Outcome(error=f"{fault.file}: {fault.message}")  # it will be mended
    except IndexError:
        return Outcome(error=f"The notification_config has no such {service} any more.", is_final=True)
    message = message_of(delivery, config, service)
    return masked(services.send(service, config[service], url, message, moment), config[service])


def current(pipeline_uuid: str) -> dict[str, Any]:
    """Return the notification_config with its secrets."""
    config: dict[str, Any] = reveal(project.notification_config(settings.PROJECT_DIR, pipeline_uuid), secrets.get)
    return config


def message_of(delivery: Delivery, config: Mapping[str, Any], service: str) -> services.Message:
    """Fill in the words: those of `message_templates` where it has some, else ours."""
    words, values = delivery.data["words"], delivery.data["values"]
    templates = config.get("message_templates")
    given = templates.get(words) if isinstance(templates, Mapping) else None
    title, summary = WORDS[words]
    own = given if isinstance(given, Mapping) else {}
    summary = str(own.get("summary") or summary)
    details = str(own.get("details") or (summary + (FURTHER if "{pipeline_run_url}" not in summary else "")))
    escape = services.escape_for(service)
    safe = {name: escape(value) for name, value in values.items()}
    texts = [fill(text, safe) for text in (str(own.get("title") or title), summary, details)]
    return services.Message(str(delivery.uuid), *texts)


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put the values in place of their names. Nothing else is read in a text: it is no template of any engine."""
    return PLACEHOLDER.sub(lambda match: values[match[1]], template)


def masked(outcome: Outcome, config: Mapping[str, Any]) -> Outcome:
    """Return the outcome without addresses and passwords, of which a server may have said some again."""
    values = tuple(sorted(texts_in(config), key=len, reverse=True))
    return Outcome(mask_text(outcome.error, values), outcome.retry_after, outcome.is_final, outcome.closes_channel)


def texts_in(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        public = ("smtp_host", "smtp_mail_from", "to_emails", "priority", "url")
        return {text for key, each in value.items() if key not in public for text in texts_in(each)}
    if isinstance(value, list):
        return {text for each in value for text in texts_in(each)}
    return {value} if isinstance(value, str) and len(value) >= 6 else set()
