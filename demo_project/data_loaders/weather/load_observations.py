"""Loads the days of Seattle's weather that this run stands for: one minute of ours replays one day of theirs."""

import pandas as pd

from demo_project.utils.places import data_file

SECONDS_PER_DAY_REPLAYED = 60


@data_loader
def load_observations(execution_date, interval_seconds=None, days_to_load=7, **kwargs):
    """The same execution date gives the same days, so a run can be repeated, and a backfill fills what was missed."""
    history = pd.read_csv(data_file("seattle-weather.csv"), parse_dates=["date"]).rename(columns={"date": "day"})
    wanted = max(1, round(interval_seconds / SECONDS_PER_DAY_REPLAYED)) if interval_seconds else int(days_to_load)
    first = int(execution_date.timestamp() // SECONDS_PER_DAY_REPLAYED)
    rows = [(first + n) % len(history) for n in range(min(wanted, len(history)))]
    slice_ = history.iloc[rows].reset_index(drop=True)
    print(f"{len(slice_)} of {len(history)} days, from {slice_.day.iloc[0]:%Y-%m-%d} to {slice_.day.iloc[-1]:%Y-%m-%d}")
    return slice_


@test
def test_has_each_day_once(observations, *args):
    assert len(observations) > 0, "no days were loaded"
    assert observations.day.is_unique, "a day was loaded twice"
