"""Brings generation, totals, shares and growth together: one row per year and source."""


@transformer
def join_aggregates(generation, totals, shares, growth, *args, **kwargs):
    mix = generation.merge(totals, on="year").merge(shares, on=["year", "source"]).merge(growth, on=["year", "source"])
    print(f"{len(mix)} rows, {len(mix.columns)} columns")
    return mix


@test
def test_no_row_is_lost_or_doubled(mix, *args):
    assert len(mix) == 51, f"expected 17 years of 3 sources, got {len(mix)} rows"
