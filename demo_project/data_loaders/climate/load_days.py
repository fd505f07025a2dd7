"""Loads four years of Seattle's days, sorted into the twelve months; plain Python, no pandas."""

import csv

from demo_project.utils.places import data_file


@data_loader
def load_days(*args, **kwargs):
    """{"1": [{"max", "min", "rain"}, …], …, "12": […]}"""
    months = {str(month): [] for month in range(1, 13)}
    with open(data_file("seattle-weather.csv"), newline="") as file:
        for row in csv.DictReader(file):
            day = {"max": float(row["temp_max"]), "min": float(row["temp_min"]), "rain": float(row["precipitation"])}
            months[str(int(row["date"][5:7]))].append(day)
    print(f"{sum(map(len, months.values()))} days in {len(months)} months")
    return months


@test
def test_each_month_has_four_years(months, *args):
    for month, days in months.items():
        assert len(days) >= 4 * 28, f"month {month} has only {len(days)} days"
