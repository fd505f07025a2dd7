"""The part of a trigger's form that holds its settings, in groups: the common ones first, the rest folded away."""

from dataclasses import dataclass

from django import forms
from django.forms.boundfield import BoundField

from schedules.pages.form_fields import LimitsField, PipelinesField, choice, flag, number, span

SPAN_HELP = "Seconds, or words such as 90 min."


@dataclass(frozen=True)
class Group:
    """Fields under one heading; `rows` of fields stand side by side."""

    title: str
    about: str
    rows: list[list[BoundField]]

    @property
    def is_open(self) -> bool:
        """Is something in it wrong, or other than the default?"""
        return any(field.errors or is_set(field) for row in self.rows for field in row)


def is_set(field: BoundField) -> bool:
    value, default = field.value(), field.field.initial
    if isinstance(field.field, forms.BooleanField):
        return bool(value) != bool(default)
    return value not in (None, "", [], default)


GROUPS: tuple[tuple[str, str, tuple[tuple[str, ...], ...]], ...] = (
    (
        "Overlap and limits",
        "what happens while earlier runs go on, and who goes first",
        (
            ("overlap", "priority"),
            ("pipeline_run_limit", "on_pipeline_run_limit_reached"),
            ("run_limit_by_variable",),
        ),
    ),
    (
        "Late moments",
        "after downtime, a pause or an edit",
        (("catchup", "catchup_max"), ("catchup_window", "start_deadline")),
    ),
    (
        "Calendar and hours",
        "days and hours in which it does not run",
        (("active_hours", "jitter"), ("calendar", "on_calendar_hit")),
    ),
    ("Clock changes", "times that are missing or come twice", (("dst_missing", "dst_repeated"),)),
    (
        "Finish by",
        "start early enough to be done in time",
        (("landing_time_enabled",), ("landing_quantile", "landing_runs"), ("sla",)),
    ),
    (
        "Failures",
        "time-out, retries, and when to give up",
        (
            ("timeout", "timeout_status"),
            ("retries", "retry_delay", "retry_max_delay"),
            ("retry_steady",),
            ("stop_after_failures",),
            ("allow_blocks_to_fail",),
        ),
    ),
)


class SettingsFields(forms.Form):
    """Every setting of `schedules.policies.Settings`, and the SLA."""

    after_pipelines = PipelinesField(
        required=False,
        label="After runs of",
        help_text="Ctrl or ⌘ chooses several.",
        widget=forms.SelectMultiple(attrs={"size": 6}),
    )
    after_match = choice("It waits for", [("any", "any of them"), ("all", "all of them")])
    after_on = choice(
        "that",
        [("completed", "completed"), ("failed", "failed"), ("finished", "finished, however")],
    )
    skip_if_previous_running = flag("Skip while the previous run is not finished")
    create_initial_pipeline_run = flag("Run once as soon as it is switched on")
    overlap = choice(
        "While an earlier run goes on",
        [
            ("", "as chosen above"),
            ("allow", "start beside it"),
            ("skip", "skip the moment"),
            ("wait_one", "let one moment wait"),
            ("wait_all", "let every moment wait"),
            ("cancel_other", "cancel the earlier run"),
        ],
    )
    priority = number("Priority", "0", "Lower starts first: −1000 to 1000.")
    pipeline_run_limit = number("Runs at a time, at most", "no limit")
    on_pipeline_run_limit_reached = choice("At the limit", [("skip", "skip the moment"), ("wait", "wait for room")])
    run_limit_by_variable = LimitsField(
        required=False,
        label="Runs at a time for each value of a variable",
        help_text="For example customer: 1 – one run for each customer at a time.",
        widget=forms.TextInput(attrs={"placeholder": "customer: 1", "spellcheck": "false"}),
    )
    catchup = choice(
        "Moments found late",
        [
            ("latest", "run only the latest"),
            ("all", "run them all"),
            ("none", "run none"),
            ("hold", "hold them until someone decides"),
        ],
    )
    catchup_max = number("At most", "100", "Moments that are made up, the latest ones.")
    catchup_window = span("Not older than", "1 d", SPAN_HELP)
    start_deadline = span("Start within", "no deadline", "What has not started by then is expired. " + SPAN_HELP)
    active_hours = forms.CharField(
        required=False,
        label="Active hours",
        help_text="From, to; may cross midnight.",
        widget=forms.TextInput(attrs={"placeholder": "07:00–22:00"}),
    )
    jitter = span("Spread the start over", "not at all", "Starts are put off by a part of this, always the same part.")
    calendar = forms.CharField(
        required=False,
        label="Not on days of",
        help_text="Names of calendars, combined with and, or, not.",
        widget=forms.TextInput(attrs={"list": "calendars", "spellcheck": "false", "placeholder": "no calendar"}),
    )
    on_calendar_hit = choice(
        "On such a day",
        [
            ("skip", "skip the moment"),
            ("previous_business_day", "move it to the business day before"),
            ("next_business_day", "move it to the next business day"),
        ],
    )
    dst_missing = choice(
        "A time that does not exist",
        [("at_next_valid", "runs at the first moment after it"), ("skipped", "is skipped")],
        "In spring, when clocks go forward.",
    )
    dst_repeated = choice(
        "A time that comes twice",
        [("first", "runs the first time"), ("second", "runs the second time"), ("both", "runs both times")],
        "In autumn, when clocks go back.",
    )
    landing_time_enabled = flag("The times above are when it should be finished")
    landing_quantile = number("Share of runs that are in time", "0.9", "0.05 to 1.")
    landing_runs = number("Judged by the last", "20", "Runs whose durations are looked at.")
    sla = span("SLA", "none", "A run that takes longer is late. " + SPAN_HELP)
    timeout = span("Time-out", "none", SPAN_HELP)
    timeout_status = choice("After the time-out the run is", [("failed", "failed"), ("cancelled", "cancelled")])
    retries = number("Retries of a failed block", "as in the pipeline", "0 to 1000.")
    retry_delay = span("Delay before the first", "5 s", SPAN_HELP)
    retry_max_delay = span("Longest delay", "60 s", SPAN_HELP)
    retry_steady = flag("Wait equally long each time, instead of twice as long")
    stop_after_failures = number("Pause after this many failures in a row", "never")
    allow_blocks_to_fail = flag("Go on with other blocks when one fails")

    def groups(self) -> list[Group]:
        return [Group(title, about, [[self[name] for name in row] for row in rows]) for title, about, rows in GROUPS]
