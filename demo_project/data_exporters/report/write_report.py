"""Writes the day's report: JSON for programs, Markdown and HTML for people, the charts as SVG files beside them."""

import json
from html import escape

from demo_project.utils.places import replace_file, state_file


@data_exporter
def write_report(summary, charts, title="Daily report", **kwargs):
    heading = f"{title}, {summary['date']}"
    parts = {part: summary[part] for part in ("weather", "energy", "employment")}
    lines = [figures["text"] if figures else f"No {part} data yet." for part, figures in parts.items()]
    files = {
        "report.json": json.dumps({"title": title, **summary, "charts": sorted(charts)}, indent=2) + "\n",
        "report.md": markdown(heading, lines, charts),
        "report.html": html(heading, lines, charts),
        **charts,
    }
    sizes = {name: replace_file(state_file("reports", summary["date"], name), text) for name, text in files.items()}
    for name, size in sizes.items():
        print(f"reports/{summary['date']}/{name}: {size:,} bytes")
    return {"date": summary["date"], "files": sizes}


def markdown(heading, lines, charts):
    pictures = [f"![{name}]({name})" for name in charts]
    return "\n".join([f"# {heading}", "", *(f"- {line}" for line in lines), "", *pictures, ""])


def html(heading, lines, charts):
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(heading)}</title>'
        f"<h1>{escape(heading)}</h1><ul>{items}</ul>{''.join(charts.values())}</html>\n"
    )


@test
def test_the_json_reads_back(written, *args):
    report = json.loads(state_file("reports", written["date"], "report.json").read_text())
    assert report["date"] == written["date"], "another day's report was written"
