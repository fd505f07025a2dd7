"""Looks for hours that are missing from the hourly series. There is one, and it is missing at the source."""

import csv
import logging
from datetime import datetime, timedelta

from demo_project.utils.places import data_file

log = logging.getLogger("audit")


@custom
def find_gaps(*args, **kwargs):
    with open(data_file("seattle-weather-hourly-normals.csv"), newline="") as file:
        present = {datetime.fromisoformat(row["date"]) for row in csv.DictReader(file)}
    year = datetime(min(present).year, 1, 1)
    gaps = [hour for hour in (year + timedelta(hours=n) for n in range(365 * 24)) if hour not in present]
    for hour in gaps:
        log.warning("no row for %s", hour.isoformat())
    print(f"{len(present)} hours present, {len(gaps)} missing")
    return [hour.isoformat() for hour in gaps]
