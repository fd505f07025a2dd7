"""Gives each source's growth against the year before; the first year has none."""


@transformer
def growth_by_source(generation, *args, **kwargs):
    ordered = generation.sort_values(["source", "year"]).reset_index(drop=True)
    growth = ordered.groupby("source").net_generation.pct_change().round(4)
    print(f"{growth.notna().sum()} growth figures for {ordered.source.nunique()} sources")
    return ordered[["year", "source"]].assign(growth=growth)
