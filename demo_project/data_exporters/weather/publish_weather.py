"""Publishes the whole table as one Parquet file and a marker that says up to when it is good."""

import json

import pandas as pd

from demo_project.utils import store
from demo_project.utils.places import replace_file, state_file


@data_exporter
def publish_weather(counts, execution_date, **kwargs):
    # Within a write transaction, so that of two runs at once the later file never has the older rows.
    with store.writing() as db:
        table = pd.DataFrame(db.execute("SELECT * FROM weather ORDER BY day").fetchall())
        size = replace_file(state_file("exports", "weather.parquet"), table.to_parquet(index=False))
        marker = {"execution_date": execution_date.isoformat(), "rows": len(table), "bytes": size}
        replace_file(state_file("exports", "weather.ready.json"), json.dumps(marker))
    print(f"published {len(table)} days, {size:,} bytes")
    return marker


@test
def test_the_file_reads_back(marker, *args):
    published = pd.read_parquet(state_file("exports", "weather.parquet"))
    assert len(published) >= marker["rows"], "rows were lost on the way to Parquet"
