"""Reads what the report needs of the energy mix: generation by year and source."""

from demo_project.utils import store


@data_loader
def load_energy_facts(*args, **kwargs):
    with store.reading() as db:
        rows = db.execute("SELECT year, source, net_generation, share FROM energy_mix ORDER BY year, source").fetchall()
    print(f"{len(rows)} rows")
    return rows
