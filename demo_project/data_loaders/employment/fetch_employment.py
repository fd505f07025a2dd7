"""Fetches the monthly employment series. Its service is down at first, as services are: the retries see it through."""

import csv

from demo_project.utils.places import data_file


class ServiceUnavailable(RuntimeError):
    """The series cannot be had right now; it is worth asking again."""


@data_loader
def fetch_employment(retry, service_is_back_at_attempt=2, **kwargs):
    """[{"month": "2006-01", "nonfarm": 135450, "change": 282}, …], people in thousands."""
    if retry["attempts"] < service_is_back_at_attempt:
        raise ServiceUnavailable("503 Service Unavailable from the employment series (an outage made on purpose)")
    with open(data_file("us-employment.csv"), newline="") as file:
        series = [
            {"month": row["month"][:7], "nonfarm": int(row["nonfarm"]), "change": int(row["nonfarm_change"])}
            for row in csv.DictReader(file)
        ]
    print(f"{len(series)} months at attempt {retry['attempts']}")
    return series


@test
def test_months_follow_each_other(series, *args):
    months = [row["month"] for row in series]
    assert months == sorted(set(months)), "months are out of order or doubled"
