"""Boils the three stores down to the day's figures; what has not been loaded yet is null."""

from statistics import fmean


@transformer
def summarize(weather, energy, employment, execution_date, **kwargs):
    """{"date", "written_for", "weather": {…, "text"} or None, "energy": …, "employment": …}"""
    summary = {
        "date": execution_date.date().isoformat(),
        "written_for": execution_date.isoformat(),
        "weather": weather_figures(weather) if weather else None,
        "energy": energy_figures(energy) if energy else None,
        "employment": employment_figures(employment) if employment else None,
    }
    for part in ("weather", "energy", "employment"):
        print(summary[part]["text"] if summary[part] else f"no {part} data yet")
    return summary


def weather_figures(days):
    hottest = max(days, key=lambda day: day["temp_max"])
    figures = {
        "days": len(days),
        "first": days[0]["day"],
        "last": days[-1]["day"],
        "anomaly": round(fmean(day["anomaly"] for day in days), 2),
        "hottest_day": hottest["day"],
        "hottest": hottest["temp_max"],
    }
    text = "Seattle from {first} to {last}: {anomaly:+.1f} °C from normal, hottest {hottest} °C on {hottest_day}."
    return {**figures, "text": text.format(**figures)}


def energy_figures(rows):
    latest = max(row["year"] for row in rows)
    shares = {row["source"]: row["share"] for row in rows if row["year"] == latest}
    text = (
        f"Iowa's electricity in {latest}: " + ", ".join(f"{name} {share:.0%}" for name, share in shares.items()) + "."
    )
    return {"year": latest, "shares": shares, "text": text}


def employment_figures(years):
    worst, last = min(years, key=lambda row: row["change"]), years[-1]
    text = (
        f"US employment in {last['year']}: {last['average']:,} thousand, {last['change']:+,} over the year; "
        f"the worst year was {worst['year']} with {worst['change']:+,} thousand."
    )
    return {"latest": last, "worst": worst, "text": text}


@test
def test_shares_are_shares(summary, *args):
    shares = (summary["energy"] or {}).get("shares", {}).values()
    assert all(0 <= share <= 1 for share in shares), summary["energy"]
