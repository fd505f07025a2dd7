"""Sets each day against what is normal for its date."""


@transformer
def compare_with_normals(observations, normals, *args, **kwargs):
    month_day = observations.day.dt.strftime("%m-%d").replace("02-29", "02-28")
    compared = observations.assign(month_day=month_day).merge(normals, on="month_day", how="left")
    compared["anomaly"] = (compared.temp_mean - compared.normal).round(2)
    warmer = int((compared.anomaly > 0).sum())
    print(f"{len(compared)} days compared: {warmer} warmer than normal, {len(compared) - warmer} not")
    return compared.drop(columns="month_day")


@test
def test_each_day_has_a_normal(compared, *args):
    assert compared.normal.notna().all(), "a day has no normal"
