"""Gives each source's share of its year."""


@transformer
def share_by_source(generation, *args, **kwargs):
    total = generation.groupby("year").net_generation.transform("sum")
    shares = generation[["year", "source"]].assign(share=(generation.net_generation / total).round(4))
    latest = shares[shares.year == shares.year.max()]
    for row in latest.itertuples():
        print(f"{row.year}  {row.source:<15} {row.share:6.1%}")
    return shares


@test
def test_shares_add_up_to_one(shares, *args):
    sums = shares.groupby("year").share.sum()
    assert ((sums - 1).abs() < 0.001).all(), f"shares do not add up: {sums.to_dict()}"
