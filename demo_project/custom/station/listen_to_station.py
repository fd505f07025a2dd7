"""Listens to the weather station for a while: one log line for each of the day's 24 hours, marked by how calm it is."""

import csv
import logging
import time

from demo_project.utils.places import data_file

log = logging.getLogger("station")
log.setLevel(logging.DEBUG)  # calm hours too; otherwise INFO and above are kept


@custom
def listen_to_station(execution_date, seconds_per_hour=0.8, gust=4.0, **kwargs):
    """[{"hour", "temperature", "pressure", "wind"}, …] for the day of the year that this run stands for."""
    wanted = "02-28" if execution_date.strftime("%m-%d") == "02-29" else execution_date.strftime("%m-%d")
    hours = []
    print(f"listening to Seattle's normals for {wanted}")
    for hour in read_hours(wanted):
        log.log(
            level_of(hour, hours, gust), "%(hour)s  %(temperature)5.1f °C  %(pressure)6.1f hPa  wind %(wind).1f", hour
        )
        hours.append(hour)
        time.sleep(float(seconds_per_hour))
    print(f"{len(hours)} hours heard")
    return hours


def read_hours(month_day):
    with open(data_file("seattle-weather-hourly-normals.csv"), newline="") as file:
        for row in csv.DictReader(file):
            if row["date"][5:10] == month_day:
                readings = {name: float(row[name]) for name in ("temperature", "pressure", "wind")}
                yield {"hour": row["date"][11:16], **readings}


def level_of(hour, before, gust):
    """WARNING for wind, INFO for a change of temperature, DEBUG for an hour like the last."""
    if hour["wind"] >= float(gust):
        return logging.WARNING
    return logging.INFO if not before or hour["temperature"] != before[-1]["temperature"] else logging.DEBUG


@test
def test_hears_the_whole_day(hours, *args):
    assert len(hours) in (23, 24), f"heard {len(hours)} hours"  # the source lacks the first hour of the year
