"""One month's climate. Twelve blocks share this file; `configuration.month` tells each which month is its own."""

import calendar
from statistics import fmean


@transformer
def month_statistics(months, configuration, **kwargs):
    month = int(configuration["month"])
    days = months[str(month)]
    statistics = {
        "month": month,
        "name": calendar.month_name[month],
        "days": len(days),
        "temp_mean": round(fmean((day["max"] + day["min"]) / 2 for day in days), 2),
        "hottest": max(day["max"] for day in days),
        "coldest": min(day["min"] for day in days),
        "rain_total": round(sum(day["rain"] for day in days), 1),
        "wet_days": sum(day["rain"] > 0 for day in days),
    }
    print("{name}: {days} days, {temp_mean} °C, {wet_days} wet days".format(**statistics))
    return statistics


@test
def test_the_mean_lies_between_the_extremes(statistics, *args):
    assert statistics["coldest"] <= statistics["temp_mean"] <= statistics["hottest"], statistics
