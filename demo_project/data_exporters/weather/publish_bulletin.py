"""Publishes the bulletin where readers find it."""

from demo_project.utils.places import replace_file, state_file


@data_exporter
def publish_bulletin(bulletin, *args, **kwargs):
    path = state_file("reports", "bulletin.md")
    size = replace_file(path, bulletin)
    print(bulletin)
    return {"file": str(path), "bytes": size}
