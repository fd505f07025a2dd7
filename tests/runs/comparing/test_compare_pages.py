"""The page on which two runs stand beside each other."""

from datetime import datetime, timedelta

import pytest
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from pipelines.models import PipelineVersion
from runs.models import PipelineRun
from tests.factories import NOON, make_pipeline, make_run, text_of
from tests.runs.comparing.pairs_of_runs import bad_run, block_of, good_run, returned, wrote

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"


def test_a_failed_run_leads_to_its_comparison_with_the_last_good_one(page: Client) -> None:
    good_run()
    good, run = good_run(), bad_run()

    assert f'href="/runs/{run.pk}/compare/"' in text_of(page.get(f"/runs/{run.pk}/"))
    assert page.get(f"/runs/{run.pk}/compare/").headers["Location"] == f"/runs/{run.pk}/compare/{good.pk}/"


def test_another_run_may_be_named(page: Client) -> None:
    run = bad_run()

    assert page.get(f"/runs/{run.pk}/compare/?other=%237").headers["Location"] == f"/runs/{run.pk}/compare/7/"


def test_without_a_good_run_it_says_so(page: Client) -> None:
    run = bad_run()

    answer = page.get(f"/runs/{run.pk}/compare/")

    assert answer.status_code == 200
    assert "No run of etl has completed before this one." in text_of(answer)


def test_what_differs_comes_alone_and_the_rest_is_a_link_away(page: Client, now: datetime) -> None:
    good, run = good_run(), bad_run()
    for each in (good, run):
        wrote(each, "load", now, "the same")
    address = f"/runs/{run.pk}/compare/{good.pk}/"

    answer = page.get(address)

    assert [row["of"].block_uuid for row in answer.context["blocks"]] == ["clean", "save"]
    assert "ValueError: no rows" in text_of(answer)
    assert "1 without a difference is not shown" in text_of(answer)
    assert len(page.get(f"{address}?show=all").context["blocks"]) == 3


def test_where_logs_part_leads_to_both_lines(page: Client, now: datetime) -> None:
    good, run = good_run(), bad_run()
    wrote(good, "clean", now, "fine")
    wrote(run, "clean", now, HOSTILE)

    text = text_of(page.get(f"/runs/{run.pk}/compare/{good.pk}/"))

    was, now_is = (f"/runs/{each.pk}/blocks/{block_of(each, 'clean').pk}/log/1/?at=0#L0" for each in (good, run))
    assert f'href="{was}">fine</a>' in text
    assert f'href="{now_is}"' in text
    assert HOSTILE not in text


def test_no_difference_is_said(page: Client) -> None:
    old, new = good_run(), good_run()

    assert "Nothing differs that is kept of them" in text_of(page.get(f"/runs/{new.pk}/compare/{old.pk}/"))


@pytest.mark.parametrize(
    ("other", "status", "words"),
    [("compare/999/", 404, "There is no run 999."), ("compare/?other=x1", 400, "&#x27;x1&#x27; is no number of a run")],
)
def test_an_unknown_run_is_named(page: Client, other: str, status: int, words: str) -> None:
    answer = page.get(f"/runs/{bad_run().pk}/{other}")

    assert answer.status_code == status
    assert words in text_of(answer)


def test_a_run_of_another_pipeline_is_refused_in_words(page: Client) -> None:
    other = make_run(make_pipeline("other"))

    answer = page.get(f"/runs/{bad_run().pk}/compare/{other.pk}/")

    assert answer.status_code == 400
    assert "Name another run of etl." in text_of(answer)


def test_it_costs_at_most_sixteen_queries(page: Client, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    good, run = good_run(), bad_run()

    with django_assert_max_num_queries(16):
        page.get(f"/runs/{run.pk}/compare/{good.pk}/")


# --- what it says of each difference ----------------------------------------------------------------------------------


def compared(page: Client, new: PipelineRun, old: PipelineRun, query: str = "") -> str:
    return " ".join(text_of(page.get(f"/runs/{new.pk}/compare/{old.pk}/{query}")).split())


def test_what_is_the_same_is_said_part_by_part(page: Client) -> None:
    old, new = good_run(variables={"day": 1}), good_run(variables={"day": 1})

    text = compared(page, new, old)

    assert "Same state, trigger, executor, machines and version." in text
    assert '<div class="in quiet">The same in both.</div>' in text
    assert f"The same definition and code: <code>{new.version.content_hash[:10]}</code>" in text
    assert "No block ended otherwise, took notably longer, returned another number of rows" in text
    assert 'The same: <span class="mono break">day</span>' in compared(page, new, old, "?show=all")


def test_a_variable_that_only_one_has_is_a_dash_in_the_other(page: Client) -> None:
    old, new = good_run(variables={"was": "<b>"}), good_run(variables={"is": 2})

    text = compared(page, new, old)

    assert '<th scope="row" class="mono break">was</th><td class="mono break">&quot;&lt;b&gt;&quot;</td>' in text
    assert (
        '<th scope="row" class="mono break">is</th><td class="mono break">–</td><td class="mono break">2</td>' in text
    )


@pytest.mark.parametrize(
    ("seconds", "differs"), [((10, 13), False), ((10, 15), True), ((15, 10), True), ((0, 0), False), ((1, 1.6), False)]
)
def test_a_run_counts_as_longer_by_the_rule_that_the_page_states(
    page: Client, seconds: tuple[float, float], differs: bool
) -> None:
    old, new = (good_run(completed_at=NOON + timedelta(seconds=each)) for each in seconds)

    text = compared(page, new, old)

    assert "A time counts as a difference from one and a half times and one second on." in text
    assert ('<th scope="row">Took</th>' in text) is differs


@pytest.mark.parametrize("turned", [False, True])
def test_a_block_says_how_many_times_as_long_it_took(page: Client, turned: bool) -> None:
    old, new = good_run(), good_run()
    slow = old if turned else new
    slow.block_runs.filter(block_uuid="load").update(completed_at=NOON + timedelta(seconds=30))

    text = compared(page, new, old)

    assert f'<span class="times {"faster" if turned else "slower"} num">' in text
    assert ("× 0.33" if turned else "× 3.00") in text


def test_how_a_run_was_executed_is_told_in_words(page: Client) -> None:
    old, new = good_run(), good_run(in_one_process=True, block_run_limit=1)

    text = compared(page, new, old)

    assert '<th scope="row">In one process</th><td>– </td><td>yes </td>' in text
    assert '<th scope="row">Block runs at once</th>' in text


def test_a_block_that_only_one_run_has_is_new_or_gone(page: Client) -> None:
    old, new = good_run(), good_run()
    old.block_runs.filter(block_uuid="save").delete()

    assert '<b>save</b> <span class="chip">new</span>' in compared(page, new, old)
    assert '<b>save</b> <span class="chip">gone</span>' in compared(page, old, new)


def test_members_are_counted_where_there_are_any(page: Client) -> None:
    old, new = good_run(), good_run()
    old.block_runs.filter(block_uuid="load").update(members_total=3)
    new.block_runs.filter(block_uuid="load").update(members_total=1200)

    text = compared(page, new, old)

    assert "3 members" in text
    assert "1,200 members" in text


def test_rows_that_differ_are_shown_side_by_side(page: Client) -> None:
    old, new = good_run(), good_run()
    returned(old, "load", 1000)
    returned(new, "load", 3)

    text = compared(page, new, old)

    assert '<td class="num right result">1,000 rows</td>' in text
    assert '<td class="num right result">3 rows</td>' in text


def test_a_log_that_ends_earlier_says_so(page: Client, now: datetime) -> None:
    old, new = good_run(), good_run()
    wrote(old, "load", now, "one", "two")
    wrote(new, "load", now, "one")

    text = compared(page, new, old)

    assert 'Their logs part at line <span class="num">2</span>' in text
    assert f"the log of #{new.pk} has ended" in text
    assert f"the log of #{new.pk} has ended" in compared(page, old, new)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?show=all", "Their logs say the same, but for numbers, as far as they were read."),
        ("?show=all&numbers=count", "Their logs say the same, as far as they were read."),
    ],
)
def test_logs_that_say_the_same_are_said_to(page: Client, now: datetime, query: str, words: str) -> None:
    old, new = good_run(), good_run()
    for each in (old, new):
        wrote(each, "load", now, "7 rows")

    assert words in compared(page, new, old, query)


def test_numbers_in_logs_count_when_that_is_chosen(page: Client, now: datetime) -> None:
    old, new = good_run(), good_run()
    wrote(old, "load", now, "7 rows")
    wrote(new, "load", now, "8 rows")

    assert "Their logs part" not in compared(page, new, old)
    assert "Their logs part" in compared(page, new, old, "?numbers=count")


def test_an_empty_line_is_called_one(page: Client, now: datetime) -> None:
    old, new = good_run(), good_run()
    wrote(old, "load", now, "")
    wrote(new, "load", now, "text")

    assert "(an empty line)" in compared(page, new, old)


def test_another_version_in_which_nothing_differs_says_so(page: Client) -> None:
    old, new = good_run(), good_run()
    was = old.version
    new.version = PipelineVersion.objects.create(
        pipeline=new.pipeline, content_hash="another one", graph=was.graph, settings=was.settings
    )
    new.save()

    text = compared(page, new, old)

    assert "Another version, in which nothing of the blocks differs." in text
    assert '<th scope="row">Version</th><td>hash of et </td><td>another on </td>' in text


def test_a_setting_that_only_one_version_has_is_a_dash_in_the_other(page: Client) -> None:
    old, new = good_run(), good_run()
    new.version = PipelineVersion.objects.create(
        pipeline=new.pipeline, content_hash="another one", graph=old.version.graph, settings={"concurrency": 2}
    )
    new.save()

    text = compared(page, new, old)

    assert '<td class="mono break">concurrency</td><td class="mono break">–</td><td class="mono break">2</td>' in text


def test_where_nothing_can_be_compared_it_leads_back(page: Client) -> None:
    run = bad_run()

    text = " ".join(text_of(page.get(f"/runs/{run.pk}/compare/")).split())

    assert "Two runs of the same pipeline can be put beside each other" in text
    assert f'<a href="/runs/{run.pk}/">Back to run #{run.pk}</a>' in text


def test_it_offers_the_last_good_run_and_the_one_before(page: Client) -> None:
    good, before, run = good_run(), bad_run(), bad_run()

    text = compared(page, run, good)

    assert f'The run before it <span class="num">#{before.pk}</span>' in text
    assert f'The last good run <span class="num">#{good.pk}</span>' in compared(page, run, before)
