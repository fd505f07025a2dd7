"""Loads what is normal for each day of the year: the mean of NOAA's 24 hourly temperature normals."""

import pandas as pd

from demo_project.utils.places import data_file


@data_loader
def load_normals(*args, **kwargs):
    hours = pd.read_csv(data_file("seattle-weather-hourly-normals.csv"), parse_dates=["date"])
    normals = (
        hours.assign(month_day=hours.date.dt.strftime("%m-%d"))
        .groupby("month_day", as_index=False)
        .agg(normal=("temperature", "mean"))
        .round(2)
    )
    print(f"{len(hours)} hours became {len(normals)} days")
    return normals


@test
def test_covers_the_year(normals, *args):
    assert len(normals) == 365, f"expected 365 days, got {len(normals)}"
