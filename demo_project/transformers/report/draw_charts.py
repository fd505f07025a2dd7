"""Draws the report's charts as SVG, in plain Python."""

from xml.etree import ElementTree

from demo_project.utils.charts import line_chart, stacked_bars


@transformer
def draw_charts(weather, energy, *args, **kwargs):
    """{"file name": "<svg …>"}; a chart without data is left out."""
    charts = {}
    if weather:
        charts["temperature.svg"] = line_chart(
            "Seattle: mean temperature by day, °C",
            [day["day"] for day in weather],
            {"observed": [day["temp_mean"] for day in weather], "normal": [day["normal"] for day in weather]},
        )
    if energy:
        years = sorted({row["year"] for row in energy})
        charts["energy.svg"] = stacked_bars(
            "Iowa: net generation, thousand MWh",
            [str(year) for year in years],
            {source: generation_of(source, energy) for source in sorted({row["source"] for row in energy})},
        )
    for name, svg in charts.items():
        print(f"{name}: {len(svg):,} characters")
    return charts


def generation_of(source, energy):
    return [row["net_generation"] for row in energy if row["source"] == source]


@test
def test_each_chart_is_well_formed(charts, *args):
    for name, svg in charts.items():
        assert ElementTree.fromstring(svg).tag.endswith("svg"), f"{name} is not an SVG image"
