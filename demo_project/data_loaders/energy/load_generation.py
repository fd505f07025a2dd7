"""Loads Iowa's yearly net generation of electricity by source, in thousand MWh."""

import pandas as pd

from demo_project.utils.places import data_file


@data_loader
def load_generation(*args, **kwargs):
    generation = pd.read_csv(data_file("iowa-electricity.csv"), parse_dates=["year"])
    generation["year"] = generation.year.dt.year
    print(f"{len(generation)} rows, {generation.year.min()} to {generation.year.max()}")
    return generation


@test
def test_each_source_reports_each_year(generation, *args):
    expected = generation.year.nunique() * generation.source.nunique()
    assert len(generation) == expected, f"expected {expected} rows, got {len(generation)}"
