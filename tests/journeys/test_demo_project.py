"""The demo project: each pipeline runs on a fresh clone, in any order, again and at once, and its figures are right."""

import hashlib
import json
import multiprocessing
import sqlite3
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
import yaml

from pipelines import project, variables
from pipelines.graph import Block
from pipelines.runtime import run_block
from schedules import timetable
from schedules.files.triggers_file import Entry, read_triggers

DEMO = Path(__file__).resolve().parents[2] / "demo_project"
PIPELINES = sorted(path.parent.name for path in DEMO.glob("pipelines/*/metadata.yaml"))
NOON = datetime(2025, 3, 2, 12, tzinfo=UTC)
TWO_MINUTES = timedelta(minutes=2)


@dataclass
class Played:
    """What became of a pipeline: a result per block that ran, in order, up to the first that didn't complete."""

    results: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def verdicts(self) -> dict[str, str]:
        return {block: result["verdict"] for block, result in self.results.items()}

    @property
    def completed(self) -> bool:
        return set(self.verdicts.values()) == {"completed"}

    def value(self, block: str) -> Any:
        return variables.load(self.results[block]["outputs"][0])


@dataclass(frozen=True)
class Demo:
    """The demo project with a state folder and an outputs folder of its own."""

    state: Path
    outputs: Path

    def definition(self, uuid: str) -> project.Definition:
        return project.read_pipeline(project.read_project(DEMO), uuid)

    def play(
        self,
        uuid: str,
        *,
        moment: datetime = NOON,
        interval: timedelta | None = None,
        attempt: int = 2,
        skip_sensor: bool = False,
        **given: Any,
    ) -> Played:
        """Run the blocks of a pipeline one after the other, as a run of that moment would."""
        definition, played = self.definition(uuid), Played()
        for block in definition.graph.blocks:
            upstream = [{"block": name, "outputs": played.results[name]["outputs"]} for name in block.upstream]
            job = {
                "project": str(DEMO),
                "pipeline_uuid": uuid,
                "block": block_as_dict(definition, block),
                "run_tests": True,
                "skip_sensor": skip_sensor,
                "upstream": upstream,
                "variables": {**definition.settings["variables"], **given},
                "context": context(moment, interval, attempt),
                "output_url": tempfile.mkdtemp(dir=self.outputs),
                "secrets": {},
            }
            played.results[block.uuid] = run_block(json.loads(json.dumps(job)))
            if not played.completed:
                break
        return played

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with sqlite3.connect(self.state / "store.sqlite") as db:
            found = db.execute(query).fetchall()
        db.close()
        return found


def block_as_dict(definition: project.Definition, block: Block) -> Mapping[str, Any]:
    return next(each for each in definition.graph.as_dict()["blocks"] if each["uuid"] == block.uuid)


def context(moment: datetime, interval: timedelta | None, attempt: int) -> dict[str, Any]:
    return {
        "execution_date": moment.isoformat(),
        "interval_start_datetime": moment.isoformat() if interval else None,
        "interval_end_datetime": (moment + interval).isoformat() if interval else None,
        "interval_seconds": interval.total_seconds() if interval else None,
        "interval_start_datetime_previous": (moment - interval).isoformat() if interval else None,
        "execution_partition": f"1/{moment:%Y%m%dT%H%M%S}",
        "pipeline_run_id": 1,
        "block_run_id": 1,
        "trigger_name": "",
        "event": {},
        "env": "test",
        "retry": {"attempts": attempt},
        "ds": f"{moment:%Y-%m-%d}",
        "hr": f"{moment:%H}",
    }


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Demo:
    monkeypatch.chdir(tmp_path)  # a block's process works in the project folder; this one comes back
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setenv("DEMO_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "outputs").mkdir()
    return Demo(state=tmp_path / "state", outputs=tmp_path / "outputs")


class TestShapes:
    def test_has_pipelines_of_different_shapes(self, demo: Demo) -> None:
        widths = {uuid: widest(demo.definition(uuid)) for uuid in PIPELINES}

        assert len(PIPELINES) >= 6
        assert widths["climate_by_month"] == 12
        assert widths["energy_mix"] == 3
        assert widths["employment_feed"] == 1

    @pytest.mark.parametrize("uuid", PIPELINES)
    def test_metadata_names_both_ends_of_each_edge(self, demo: Demo, uuid: str) -> None:
        graph = demo.definition(uuid).graph
        entries = yaml.safe_load((DEMO / "pipelines" / uuid / "metadata.yaml").read_text())["blocks"]

        assert {entry["uuid"]: set(entry["downstream_blocks"]) for entry in entries} == {
            block.uuid: set(graph.downstream(block.uuid)) for block in graph.blocks
        }

    @pytest.mark.parametrize("uuid", PIPELINES)
    def test_each_pipeline_says_what_it_is(self, demo: Demo, uuid: str) -> None:
        definition = demo.definition(uuid)

        assert definition.description
        assert definition.tags
        assert uuid in (DEMO / "README.md").read_text()

    def test_one_pipeline_runs_in_one_process(self, demo: Demo) -> None:
        single = [uuid for uuid in PIPELINES if demo.definition(uuid).settings["run_pipeline_in_one_process"]]

        assert single == ["data_audit"]

    def test_each_block_file_is_used_by_a_pipeline(self, demo: Demo) -> None:
        used = {block.file for uuid in PIPELINES for block in demo.definition(uuid).graph.blocks}
        folders = ("data_loaders", "transformers", "data_exporters", "sensors", "custom")

        assert used == {str(path.relative_to(DEMO)) for name in folders for path in (DEMO / name).rglob("*.py")}


class TestTriggers:
    @pytest.mark.parametrize("uuid", PIPELINES)
    def test_each_file_can_be_taken_over_as_it_is(self, uuid: str) -> None:
        found = read_triggers(DEMO, uuid, secret=lambda name: None)

        assert found.entries
        assert found.warnings == []

    def test_the_dashboard_lives_within_a_minute(self) -> None:
        waits = [next_of(trigger, NOON) - NOON for _, trigger in triggers() if trigger.is_active and is_timed(trigger)]

        assert min(waits) <= timedelta(minutes=1)
        assert sum(wait <= timedelta(minutes=5) for wait in waits) >= 6

    def test_there_is_one_of_each_kind(self) -> None:
        assert [uuid for uuid, trigger in triggers() if trigger.schedule_type == "api"] == ["daily_report"]
        assert [uuid for uuid, trigger in triggers() if not trigger.is_active] == ["climate_by_month"]
        assert {trigger.timezone for _, trigger in triggers()} == {
            "UTC",
            "Europe/Berlin",
            "America/Los_Angeles",
            "America/New_York",
        }


class TestFreshClone:
    @pytest.mark.parametrize("uuid", [uuid for uuid in PIPELINES if uuid != "weather_bulletin"])
    def test_each_pipeline_completes_before_any_other_ran(self, demo: Demo, uuid: str) -> None:
        played = demo.play(uuid, seconds_per_hour=0)

        assert played.completed, played.results

    def test_the_bulletin_completes_without_its_sensor(self, demo: Demo) -> None:
        played = demo.play("weather_bulletin", skip_sensor=True)

        assert played.completed, played.results
        assert "No weather is published yet." in (demo.state / "reports" / "bulletin.md").read_text()

    def test_writes_nothing_outside_its_state_folder(self, demo: Demo) -> None:
        before = files_of_the_project()

        for uuid in PIPELINES:
            demo.play(uuid, skip_sensor=True, seconds_per_hour=0)

        assert files_of_the_project() == before
        assert (demo.state / "store.sqlite").exists()


class TestSeattleWeather:
    def test_a_run_loads_the_days_of_its_interval(self, demo: Demo) -> None:
        demo.play("seattle_weather", interval=TWO_MINUTES)

        assert demo.rows("SELECT day FROM weather ORDER BY day") == [("2015-07-05",), ("2015-07-06",)]

    def test_runs_in_a_row_load_days_in_a_row(self, demo: Demo) -> None:
        for n in range(3):
            demo.play("seattle_weather", moment=NOON + n * TWO_MINUTES, interval=TWO_MINUTES)

        assert demo.rows("SELECT min(day), max(day), count(*) FROM weather") == [("2015-07-05", "2015-07-10", 6)]

    def test_repeating_a_run_changes_nothing(self, demo: Demo) -> None:
        first = demo.play("seattle_weather")
        rows = demo.rows("SELECT * FROM weather ORDER BY day")

        second = demo.play("seattle_weather")

        assert first.value("upsert_weather") == {"new": 7, "overwritten": 0, "total": 7}
        assert second.value("upsert_weather") == {"new": 0, "overwritten": 7, "total": 7}
        assert demo.rows("SELECT * FROM weather ORDER BY day") == rows

    def test_history_begins_anew_where_it_ends(self, demo: Demo) -> None:
        days = demo.play("seattle_weather", moment=end_of_history(), days_to_load=2).value("load_observations")

        assert [f"{day:%Y-%m-%d}" for day in days.day] == ["2015-12-31", "2012-01-01"]

    def test_four_years_are_loaded_whole(self, demo: Demo) -> None:
        played = demo.play("seattle_weather", days_to_load=10_000)

        assert played.completed, played.results
        assert demo.rows("SELECT count(*), count(normal), min(day), max(day) FROM weather") == [
            (1461, 1461, "2012-01-01", "2015-12-31")
        ]

    def test_the_published_file_is_the_table(self, demo: Demo) -> None:
        played = demo.play("seattle_weather")

        published = pd.read_parquet(demo.state / "exports" / "weather.parquet")
        assert list(published.itertuples(index=False, name=None)) == demo.rows("SELECT * FROM weather ORDER BY day")
        assert played.value("publish_weather")["rows"] == len(published)

    @pytest.mark.processes
    def test_runs_at_once_lose_no_day(self, demo: Demo) -> None:
        moments = [NOON + n * TWO_MINUTES for n in range(8)]
        with multiprocessing.get_context("spawn").Pool(4) as pool:
            completed = pool.starmap(play_weather, [(demo, moment) for moment in moments])

        assert all(completed)
        assert demo.rows("SELECT count(*) FROM weather") == [(16,)]
        assert len(pd.read_parquet(demo.state / "exports" / "weather.parquet")) == 16


def files_of_the_project() -> set[Path]:
    """All but compiled code, and what a server that runs meanwhile has in `.state`."""
    return {path for path in DEMO.rglob("*") if "__pycache__" not in path.parts and ".state" not in path.parts[:-1]}


def play_weather(demo: Demo, moment: datetime) -> bool:
    return demo.play("seattle_weather", moment=moment, interval=TWO_MINUTES).completed


def end_of_history() -> datetime:
    """A moment, in 2025, that stands for the last day."""
    minute = int(NOON.timestamp()) // 60
    return datetime.fromtimestamp((minute - minute % 1461 - 1) * 60, UTC)


class TestEnergyMix:
    def test_shares_and_growth_are_right(self, demo: Demo) -> None:
        demo.play("energy_mix")

        assert demo.rows("SELECT count(*), min(year), max(year) FROM energy_mix") == [(51, 2001, 2017)]
        generation, total, share, growth = demo.rows(
            "SELECT net_generation, total, share, growth FROM energy_mix WHERE year = 2017 AND source = 'Renewables'"
        )[0]
        assert generation == 21933
        assert share == pytest.approx(21933 / total, abs=1e-4)
        assert growth == pytest.approx(21933 / 21241 - 1, abs=1e-4)

    def test_the_first_year_has_no_growth(self, demo: Demo) -> None:
        demo.play("energy_mix")

        assert demo.rows("SELECT DISTINCT year FROM energy_mix WHERE growth IS NULL") == [(2001,)]


class TestClimateByMonth:
    def test_twelve_months_share_one_file_and_cover_all_days(self, demo: Demo) -> None:
        files = [block.file for block in demo.definition("climate_by_month").graph.blocks]

        demo.play("climate_by_month")

        assert files.count("transformers/climate/month_statistics.py") == 12
        assert demo.rows("SELECT count(*), sum(days) FROM climate") == [(12, 1461)]
        assert demo.rows("SELECT name, days FROM climate WHERE month = 2") == [("February", 113)]


class TestEmploymentFeed:
    def test_fails_on_purpose_at_the_first_attempt(self, demo: Demo) -> None:
        played = demo.play("employment_feed", attempt=1)

        assert played.verdicts == {"fetch_employment": "failed"}
        assert played.results["fetch_employment"]["failure"]["type"].endswith("ServiceUnavailable")
        assert "503 Service Unavailable" in played.results["fetch_employment"]["failure"]["message"]

    def test_recovers_at_the_second(self, demo: Demo) -> None:
        played = demo.play("employment_feed", attempt=2)

        assert played.completed, played.results
        assert demo.rows("SELECT change, worst_month FROM employment WHERE year = 2009") == [(-5061, "2009-03")]

    def test_its_retries_outlast_the_outage(self, demo: Demo) -> None:
        block = demo.definition("employment_feed").graph.get("fetch_employment")
        outages = [3, demo.definition("employment_feed").settings["variables"]["service_is_back_at_attempt"]]

        assert block.retry_config["retries"] + 1 >= max(outages)
        assert block.retry_config["delay"] == 5


class TestWeatherBulletin:
    def test_waits_while_nothing_is_published(self, demo: Demo) -> None:
        played = demo.play("weather_bulletin")

        assert played.verdicts == {"weather_is_published": "not_yet"}

    def test_waits_while_what_is_published_is_old(self, demo: Demo) -> None:
        demo.play("seattle_weather", moment=NOON - timedelta(minutes=61))

        assert demo.play("weather_bulletin").verdicts == {"weather_is_published": "not_yet"}

    def test_is_written_once_the_weather_is_published(self, demo: Demo) -> None:
        demo.play("seattle_weather", moment=NOON - timedelta(minutes=59))

        assert demo.play("weather_bulletin").completed
        assert "7 days of Seattle's weather" in (demo.state / "reports" / "bulletin.md").read_text()

    def test_is_asked_again_soon_and_not_for_ever(self, demo: Demo) -> None:
        sensor = demo.definition("weather_bulletin").graph.get("weather_is_published")

        assert (sensor.poke_interval, sensor.poke_timeout) == (5, 900)


class TestDailyReport:
    def report(self, demo: Demo) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((demo.state / "reports" / "2025-03-02" / "report.json").read_text())
        return report

    def test_says_what_has_no_data_yet(self, demo: Demo) -> None:
        demo.play("daily_report")

        assert self.report(demo)["weather"] is None
        assert self.report(demo)["charts"] == []
        assert "No weather data yet." in (demo.state / "reports" / "2025-03-02" / "report.md").read_text()

    def test_has_all_parts_after_the_others_ran(self, demo: Demo) -> None:
        for uuid in ("seattle_weather", "energy_mix", "employment_feed"):
            demo.play(uuid)

        demo.play("daily_report", title="Morning <report>")

        report, folder = self.report(demo), demo.state / "reports" / "2025-03-02"
        assert report["title"] == "Morning <report>"
        assert report["weather"]["days"] == 7
        assert sum(report["energy"]["shares"].values()) == pytest.approx(1, abs=0.001)
        assert report["employment"]["worst"]["year"] == 2009
        assert report["charts"] == ["energy.svg", "temperature.svg"]
        assert "<h1>Morning &lt;report&gt;, 2025-03-02</h1>" in (folder / "report.html").read_text()
        for name in report["charts"]:
            assert name in (folder / "report.md").read_text()
            assert shapes_of(folder / name)

    def test_is_replaced_by_a_later_run_of_the_day(self, demo: Demo) -> None:
        demo.play("daily_report")

        demo.play("daily_report", moment=NOON + timedelta(hours=1))

        assert self.report(demo)["written_for"] == "2025-03-02T13:00:00+00:00"
        assert sorted(path.name for path in (demo.state / "reports").glob("**/*.json")) == ["report.json"]


class TestStationHeartbeat:
    def test_logs_a_line_for_each_hour_with_its_level(self, demo: Demo, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level("DEBUG", logger="station"):
            played = demo.play("station_heartbeat", seconds_per_hour=0)

        assert played.completed, played.results
        assert len([record for record in caplog.records if record.name == "station"]) == 24
        assert {record.levelname for record in caplog.records if record.name == "station"} == {
            "DEBUG",
            "INFO",
            "WARNING",
        }

    def test_takes_about_twenty_seconds(self, demo: Demo) -> None:
        assert 15 <= demo.definition("station_heartbeat").settings["variables"]["seconds_per_hour"] * 24 <= 25

    @pytest.mark.parametrize("day", [datetime(2024, 2, 29, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)])
    def test_completes_on_the_days_that_are_special(self, demo: Demo, day: datetime) -> None:
        assert demo.play("station_heartbeat", moment=day, seconds_per_hour=0).completed


class TestDataAudit:
    def test_finds_the_hour_that_the_source_lacks(self, demo: Demo) -> None:
        played = demo.play("data_audit")

        assert played.value("find_gaps") == ["2010-01-01T00:00:00"]
        assert demo.rows("SELECT * FROM audit") == [("2025-03-02", 4, 0, 1)]

    def test_fails_when_a_data_file_was_changed(
        self, demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        copy_data(tmp_path / "data")
        monkeypatch.setattr("demo_project.utils.places.PROJECT", tmp_path)
        with (tmp_path / "data" / "us-employment.csv").open("a") as file:
            file.write("2016-01-01,1\n")

        played = demo.play("data_audit")

        assert played.verdicts["record_audit"] == "failed"
        assert "1 data files differ" in played.results["record_audit"]["failure"]["message"]


class TestData:
    def test_is_as_it_was_shipped_and_its_source_is_named(self) -> None:
        readme, sums = (DEMO / "README.md").read_text(), (DEMO / "data" / "SHA256SUMS").read_text().splitlines()

        assert {line.split()[1] for line in sums} == {path.name for path in (DEMO / "data").glob("*.csv")}
        for line in sums:
            expected, name = line.split()
            assert hashlib.sha256((DEMO / "data" / name).read_bytes()).hexdigest() == expected
            assert f"`{name}`" in readme

    def test_is_small(self) -> None:
        shipped = [path for path in DEMO.rglob("*") if path.is_file() and not {".state", "__pycache__"} & {*path.parts}]

        assert sum(path.stat().st_size for path in shipped) < 2_000_000


class TestCharts:
    def test_a_line_of_equal_values_is_drawn(self) -> None:
        from demo_project.utils.charts import line_chart

        image = ElementTree.fromstring(line_chart("level & calm", ["a", "b"], {"x": [3, 3]}))

        assert image.findtext("{*}title") == "level & calm"
        assert "nan" not in ElementTree.tostring(image, encoding="unicode")

    def test_nothing_to_draw_is_an_empty_frame(self) -> None:
        from demo_project.utils.charts import line_chart, stacked_bars

        assert ElementTree.fromstring(line_chart("none", [], {})).findall("{*}polyline") == []
        assert ElementTree.fromstring(stacked_bars("none", [], {})).findall("{*}path") != []

    def test_pieces_of_a_bar_stand_on_each_other(self) -> None:
        from demo_project.utils.charts import COLORS, stacked_bars

        image = ElementTree.fromstring(stacked_bars("two", ["a"], {"x": [1.0], "y": [3.0]}))

        lower, upper = (
            next(rect for rect in image.findall("{*}rect") if rect.get("fill") == color and rect.get("height") != "12")
            for color in COLORS[:2]
        )
        assert float(upper.get("y", 0)) + float(upper.get("height", 0)) == pytest.approx(
            float(lower.get("y", 0)), abs=0.2
        )
        assert float(upper.get("height", 0)) == pytest.approx(3 * float(lower.get("height", 0)), abs=0.2)


def widest(definition: project.Definition) -> int:
    """Return the largest number of blocks that have the same upstream, if they have any."""
    upstream = [block.upstream for block in definition.graph.blocks if block.upstream]
    return max(upstream.count(each) for each in upstream)


def triggers() -> list[tuple[str, Entry]]:
    found = [(uuid, read_triggers(DEMO, uuid, secret=lambda name: None)) for uuid in PIPELINES]
    return [(uuid, entry) for uuid, file in found for entry in file.entries]


def is_timed(trigger: Entry) -> bool:
    return trigger.schedule_type == "time"


def next_of(trigger: Entry, moment: datetime) -> datetime:
    instant = timetable.parse(trigger.schedule_interval, trigger.timezone, start=trigger.start_time).next_after(moment)
    assert instant is not None
    return instant.utc


def shapes_of(image: Path) -> list[ElementTree.Element]:
    root = ElementTree.fromstring(image.read_text())
    return [*root.findall("{*}polyline"), *root.findall("{*}rect")[1:]]


def copy_data(target: Path) -> None:
    target.mkdir()
    for path in (DEMO / "data").iterdir():
        (target / path.name).write_bytes(path.read_bytes())
