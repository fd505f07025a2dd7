"""What pages load: vendored files that are what they say, little JavaScript of our own, nothing from elsewhere."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

ROOT = Path(settings.BASE_DIR)
STATIC = ROOT / "orchestrator_site" / "static"
VENDOR = STATIC / "vendor"
MANIFEST = json.loads((VENDOR / "manifest.json").read_text())
TEMPLATES = sorted(ROOT.glob("templates/**/*.html"))
OWN_JAVASCRIPT = 15 * 1024  # bytes


@pytest.mark.parametrize("package", MANIFEST, ids=lambda package: package["name"])
def test_a_vendored_file_is_the_one_in_the_manifest(package: dict[str, object]) -> None:
    folder = VENDOR / str(package["name"]) / str(package["version"])

    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}

    assert found == package["files"]


@pytest.mark.parametrize("package", MANIFEST, ids=lambda package: package["name"])
def test_a_vendored_package_brings_its_licence(package: dict[str, object]) -> None:
    assert package["licence"]
    assert "LICENSE" in package["files"]  # type: ignore[operator]


def test_nothing_is_vendored_that_the_manifest_does_not_name() -> None:
    folders = {str(folder.relative_to(VENDOR)) for folder in VENDOR.glob("*/*")}

    assert folders == {f"{package['name']}/{package['version']}" for package in MANIFEST}


def test_our_javascript_stays_small() -> None:
    assert sum(file.stat().st_size for file in (STATIC / "js").glob("*.js")) <= OWN_JAVASCRIPT


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_a_template_has_nothing_that_the_policy_forbids(template: Path) -> None:
    text = template.read_text()

    assert not re.search(r"<script(?![^>]*\bsrc=)", text), "a script without a file"
    assert not re.search(r"<style|\sstyle=", text), "an inline style"
    assert not re.search(r"\son[a-z]+=", text), "an inline handler"
    assert not re.search(r"hx-on|hx-vals=.js:", text), "htmx that needs eval"
    assert not re.search(r"""(src|href)=["'](https?:)?//""", text), "something from elsewhere"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_every_form_that_changes_something_has_a_csrf_token(template: Path) -> None:
    text = template.read_text()

    forms = re.findall(r"<form[^>]*method=\"post\".*?</form>", text, re.S)

    assert all("csrf_token" in form for form in forms)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_a_template_marks_nothing_as_safe(template: Path) -> None:
    assert not re.search(r"\|\s*safe\b|autoescape off|mark_safe", template.read_text())


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_an_icon_of_a_template_is_in_the_sprite(template: Path) -> None:
    sprite = next(VENDOR.glob("tabler-icons/*/sprite.svg")).read_text()

    for name in re.findall(r"{% icon \"([^\"]+)\"", template.read_text()):
        assert f'id="{name}"' in sprite


def test_every_state_has_an_icon_in_the_sprite() -> None:
    from orchestrator_site.templatetags.look import ORIGIN_ICONS, STATES

    sprite = next(VENDOR.glob("tabler-icons/*/sprite.svg")).read_text()

    for name in {look.icon for look in STATES.values()} | set(ORIGIN_ICONS.values()):
        assert f'id="{name}"' in sprite


def test_a_style_sheet_comes_zipped_and_is_kept_for_ever(client: Client) -> None:
    answer = client.get("/static/vendor/tabler/1.6.1/tabler.min.css", headers={"Accept-Encoding": "gzip, br"})

    assert answer["Content-Encoding"] == "gzip"
    assert len(answer.content) == int(answer["Content-Length"]) < 100_000
    assert answer["Vary"] == "Accept-Encoding"
    assert "immutable" in answer["Cache-Control"]


def test_our_own_files_are_asked_for_again_after_a_minute(client: Client) -> None:
    answer = client.get("/static/js/page.js")

    assert answer["Cache-Control"] == "max-age=60, public"
    assert "Content-Encoding" not in answer
    assert client.get("/static/js/page.js", headers={"If-None-Match": answer["ETag"]}).status_code == 304


def test_the_first_load_is_at_most_250_kilobytes(client: Client) -> None:
    page = client.get("/login/", headers={"Accept-Encoding": "gzip"})
    addresses = set(re.findall(r'"(/static/[^"#]+)', page.content.decode()))
    addresses |= {f"/static/js/{file.name}" for file in (STATIC / "js").glob("*.js")} | {
        f"/static/{next(VENDOR.glob('tabler-icons/*/sprite.svg')).relative_to(STATIC)}"
    }

    sizes = [len(client.get(address, headers={"Accept-Encoding": "gzip"}).content) for address in addresses]

    assert sum(sizes) + len(page.content) <= 250_000
