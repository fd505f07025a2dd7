"""Adds up all sources of each year."""


@transformer
def total_by_year(generation, *args, **kwargs):
    totals = generation.groupby("year", as_index=False).agg(total=("net_generation", "sum"))
    print(f"{len(totals)} years; the largest is {totals.loc[totals.total.idxmax(), 'year']}")
    return totals
