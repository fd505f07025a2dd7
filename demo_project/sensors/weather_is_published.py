"""True as soon as the weather pipeline has published its table for about this run's time."""

import json
from datetime import datetime, timedelta

from demo_project.utils.places import state_file


@sensor
def weather_is_published(execution_date, fresh_minutes=60, **kwargs):
    marker = state_file("exports", "weather.ready.json")
    if not marker.exists():
        print("nothing is published yet; seattle_weather will do it")
        return False
    published_for = datetime.fromisoformat(json.loads(marker.read_text())["execution_date"])
    oldest = execution_date - timedelta(minutes=int(fresh_minutes))
    print(f"published for {published_for:%Y-%m-%d %H:%M}; anything since {oldest:%Y-%m-%d %H:%M} will do")
    return published_for >= oldest
