"""Sums the months up by year: average employment, net change, best and worst month."""

from itertools import groupby
from statistics import fmean


@transformer
def yearly_employment(series, *args, **kwargs):
    years = []
    for year, group in groupby(series, key=lambda row: row["month"][:4]):
        months = list(group)
        years.append(
            {
                "year": int(year),
                "average": round(fmean(row["nonfarm"] for row in months)),
                "change": sum(row["change"] for row in months),
                "best_month": max(months, key=lambda row: row["change"])["month"],
                "worst_month": min(months, key=lambda row: row["change"])["month"],
            }
        )
    for row in years:
        print("{year}: {average:,} thousand employed, {change:+,} over the year".format(**row))
    return years


@test
def test_years_are_whole(years, *args):
    assert len(years) == 10, f"expected 2006 to 2015, got {len(years)} years"
