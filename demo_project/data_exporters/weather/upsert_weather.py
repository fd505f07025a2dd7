"""Writes the days into the store; days that are there already are overwritten, so repeating a run changes nothing."""

from demo_project.utils import store


@data_exporter
def upsert_weather(days, *args, **kwargs):
    rows = days.assign(day=days.day.dt.strftime("%Y-%m-%d")).to_dict("records")
    with store.writing() as db:
        new = store.upsert(db, "weather", ["day"], rows)
        total = store.count(db, "weather")
    print(f"{new} new days, {len(rows) - new} overwritten; the store has {total}")
    return {"new": new, "overwritten": len(rows) - new, "total": total}


@test
def test_the_store_has_rows(counts, *args):
    assert counts["total"] >= counts["new"] + counts["overwritten"] > 0, counts
