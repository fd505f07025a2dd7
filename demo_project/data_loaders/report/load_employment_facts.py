"""Reads what the report needs of employment: each year's average and net change."""

from demo_project.utils import store


@data_loader
def load_employment_facts(*args, **kwargs):
    with store.reading() as db:
        years = db.execute("SELECT year, average, change FROM employment ORDER BY year").fetchall()
    print(f"{len(years)} years")
    return years
