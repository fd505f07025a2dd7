"""Writes the yearly figures into the store."""

from demo_project.utils import store


@data_exporter
def store_employment(years, *args, **kwargs):
    with store.writing() as db:
        new = store.upsert(db, "employment", ["year"], years)
    print(f"{len(years)} years stored, {new} of them new")
    return {"rows": len(years), "new": new}
