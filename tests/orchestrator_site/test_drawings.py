"""Drawings of which a page has hundreds of parts: what is said in them is text, whatever it is called."""

from datetime import UTC, datetime, timedelta

from orchestrator_site.templatetags.drawings import dots, gantt_bar
from runs.drawing.gantt import Try, Work, gantt
from runs.drawing.scatter import Dot, scatter

NOON = datetime(2025, 3, 3, 12, tzinfo=UTC)
HOSTILE = '"><script>alert(1)</script>'


def bar(*tries: Try, status: str = "completed") -> str:
    work = Work(uuid="a", name=HOSTILE, status=status, tries=tries, ended_at=tries[-1].ended_at if tries else None)
    return str(gantt_bar(gantt([work], NOON, NOON + timedelta(seconds=10)).rows[0]))


def tried(begin: int, end: int, ended_as: str, starting: float = 0) -> Try:
    times = [NOON + timedelta(seconds=each) for each in (begin - 1, begin, end)]
    return Try(queued_at=times[0], started_at=times[1], ended_at=times[2], ended_as=ended_as, starting=starting)


def test_a_name_stays_text() -> None:
    said = bar(tried(1, 5, "completed"))

    assert "<script>" not in said
    assert "&lt;script&gt;" in said


def test_each_part_says_what_it_is_and_how_long() -> None:
    said = bar(tried(1, 5, "completed", starting=1))

    assert ": waiting 1.00 s</title>" in said
    assert 'class="starting"' in said
    assert 'fill="url(#hatch)"' in said
    assert ": running 3.00 s</title>" in said
    assert 'aria-label="waited 1.00 s, starting 1.00 s, ran 3.00 s; on the way that decided"' in said


def test_an_attempt_that_failed_is_crossed_and_counted() -> None:
    said = bar(tried(1, 3, "failed"), tried(5, 9, "completed"))

    assert 'class="running ended-badly"' in said
    assert said.count("×") == 1
    assert ", 2 attempts" in said


def test_what_never_began_says_its_state() -> None:
    assert bar(status="upstream_failed") == (
        '<svg width="100%" height="20" role="img" aria-label="upstream failed"></svg>'
    )


def test_a_mark_is_a_link_that_says_how_a_run_ended() -> None:
    drawn = scatter([Dot(7, NOON, 3, "failed", HOSTILE), Dot(8, NOON, 4, "completed", "etl")])
    assert drawn is not None

    said = str(dots(drawn.dots))

    assert '<a href="/runs/7/" tabindex="-1" class="t-bad">' in said
    assert "#7 &quot;&gt;&lt;script&gt;" in said
    assert said.count("<use ") == 2
