"""Reads what the report needs of the weather: the newest days in the store, each beside what is normal for it."""

from demo_project.utils import store


@data_loader
def load_weather_facts(days_in_report=120, **kwargs):
    with store.reading() as db:
        newest = db.execute(
            "SELECT day, temp_max, temp_mean, normal, anomaly FROM weather ORDER BY day DESC LIMIT ?",
            [int(days_in_report)],
        ).fetchall()
    print(f"{len(newest)} days")
    return newest[::-1]
