"""Writes the mix into the store and as a CSV file for spreadsheets."""

from demo_project.utils import store
from demo_project.utils.places import replace_file, state_file


@data_exporter
def store_mix(mix, *args, **kwargs):
    rows = mix.astype(object).where(mix.notna(), None).to_dict("records")
    with store.writing() as db:
        new = store.upsert(db, "energy_mix", ["year", "source"], rows)
    size = replace_file(state_file("exports", "energy_mix.csv"), mix.to_csv(index=False))
    print(f"{len(rows)} rows stored, {new} of them new; {size:,} bytes of CSV")
    return {"rows": len(rows), "new": new}
