"""Drops impossible readings and adds the day's mean temperature."""


@transformer
def clean_observations(observations, *args, **kwargs):
    possible = (
        (observations.temp_min <= observations.temp_max)
        & observations.temp_min.between(-40, 50)
        & observations.temp_max.between(-40, 50)
        & (observations.precipitation >= 0)
    )
    clean = observations[possible].drop_duplicates("day").reset_index(drop=True)
    clean["temp_mean"] = ((clean.temp_min + clean.temp_max) / 2).round(2)
    print(f"{len(clean)} rows kept, {len(observations) - len(clean)} dropped")
    return clean


@test
def test_temperatures_are_in_order(clean, *args):
    assert (clean.temp_min <= clean.temp_mean).all(), "the mean is below the minimum"
    assert (clean.temp_mean <= clean.temp_max).all(), "the mean is above the maximum"


@test
def test_nothing_is_missing(clean, *args):
    missing = clean.isna().sum()
    assert not missing.any(), f"missing values: {missing[missing > 0].to_dict()}"
