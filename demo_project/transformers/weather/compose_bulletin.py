"""Says in a few lines what the published weather table holds."""

import pandas as pd

from demo_project.utils.places import state_file


@transformer
def compose_bulletin(*args, **kwargs):
    published = state_file("exports", "weather.parquet")
    if not published.exists():  # only when the sensor was skipped
        return "# Weather bulletin\n\nNo weather is published yet.\n"
    days = pd.read_parquet(published)
    hottest, wettest = days.loc[days.temp_max.idxmax()], days.loc[days.precipitation.idxmax()]
    print(f"{len(days)} days read from {published.name}")
    return (
        "# Weather bulletin\n\n"
        f"- {len(days)} days of Seattle's weather, {days.day.min()} to {days.day.max()}\n"
        f"- hottest: {hottest.temp_max} °C on {hottest.day}\n"
        f"- wettest: {wettest.precipitation} mm on {wettest.day}\n"
        f"- on average {days.anomaly.mean():+.1f} °C from normal\n"
    )


@test
def test_is_a_markdown_page(bulletin, *args):
    assert bulletin.startswith("# "), "the bulletin has no title"
