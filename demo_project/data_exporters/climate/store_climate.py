"""Gathers the twelve months and writes the climate table."""

from demo_project.utils import store


@data_exporter
def store_climate(*months, **kwargs):
    with store.writing() as db:
        store.upsert(db, "climate", ["month"], months)
    hottest = max(months, key=lambda month: month["temp_mean"])
    wettest = max(months, key=lambda month: month["wet_days"])
    print(f"{len(months)} months stored; warmest {hottest['name']}, most wet days {wettest['name']}")
    return list(months)


@test
def test_the_year_is_whole(months, *args):
    assert [month["month"] for month in months] == list(range(1, 13)), "a month is missing or out of order"
