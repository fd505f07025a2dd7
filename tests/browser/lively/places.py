"""Which rows stand in the places of addresses: those that show most."""

from collections.abc import Mapping
from typing import Any

from alerts.models import Incident
from benchmarks.addresses import Places, newest
from pipelines.models import Pipeline
from runs.models import BlockRun, PipelineRun
from schedules.models import Occurrence, PipelineSchedule


class LivelyPlaces(Places):
    """The newest rows, in each state that a run may have."""

    def __init__(self) -> None:
        runs = PipelineRun.objects.order_by("-id")
        self.uuid = "energy_mix"
        self.runs = {
            "": runs.filter(status="completed", pipeline__uuid=self.uuid).first(),
            "failed": runs.filter(status="failed").first(),
            "running": runs.filter(status="running").first(),
            "waiting": runs.filter(status="initial").first(),
        }
        self.schedules = {"": PipelineSchedule.objects.filter(pipeline__uuid="seattle_weather").earliest("id")}

    def keys(self, route: str) -> Mapping[str, Any]:
        """No eye looks at the API."""
        return {} if route.startswith("api/") else super().keys(route)

    def of(self, route: str, name: str) -> Mapping[str, Any]:
        match name:
            case "uuid" | "pipeline_uuid":
                return {"": self.uuid}
            case "version_id":
                return {"": Pipeline.objects.get(uuid=self.uuid).current_version_id}
            case "block_run_id":
                return newest(BlockRun, pipeline_run=self.runs[""])
            case "incident_id":
                return newest(Incident, acknowledged_by="ada")
            case "occurrence_id":
                return newest(Occurrence, schedule=self.schedules[""], decision="held")
        return super().of(route, name)
