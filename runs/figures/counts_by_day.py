"""How many runs of a pipeline stand for each day of a year, for each hour of a day, and how they ended."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncDate

from runs.figures.cells import CellOf
from runs.models import PipelineRun

HOUR = timedelta(hours=1)


def of_year(pipeline_id: int, year: int, zone: ZoneInfo) -> dict[date, dict[str, int]]:
    """Return the states of the runs of each day by the zone's clock. One query, which an index answers alone."""
    runs = between(pipeline_id, date(year, 1, 1), date(year + 1, 1, 1), zone)
    found: dict[date, dict[str, int]] = {}
    days = runs.annotate(day=TruncDate("execution_date", tzinfo=zone)).values_list("day", "status")
    for day, status, count in days.annotate(runs=Count("*")).order_by():
        found.setdefault(day, {})[status] = count
    return found


def of_day(pipeline_id: int, day: date, zone: ZoneInfo) -> dict[int, dict[str, int]]:
    """Return the states of the runs of each hour of a day, counted from its midnight: up to 25 of them. One query."""
    found: dict[int, dict[str, int]] = {}
    cell = CellOf("execution_date", datetime.combine(day, time(), zone), HOUR)
    hours = of_one_day(pipeline_id, day, zone).annotate(hour=cell)
    for hour, status, count in hours.values_list("hour", "status").annotate(runs=Count("*")).order_by():
        found.setdefault(hour, {})[status] = count
    return found


def of_one_day(pipeline_id: int, day: date, zone: ZoneInfo) -> QuerySet[PipelineRun]:
    return between(pipeline_id, day, day + timedelta(days=1), zone)


def between(pipeline_id: int, first: date, end: date, zone: ZoneInfo) -> QuerySet[PipelineRun]:
    begin, until = (datetime.combine(day, time(), zone) for day in (first, end))
    return PipelineRun.objects.filter(pipeline=pipeline_id, execution_date__gte=begin, execution_date__lt=until)


def first_year(pipeline_id: int, zone: ZoneInfo) -> int | None:
    """Return the year of the earliest run. One look-up."""
    moments = PipelineRun.objects.filter(pipeline=pipeline_id).order_by("execution_date")
    first = moments.values_list("execution_date", flat=True).first()
    return first.astimezone(zone).year if first else None
