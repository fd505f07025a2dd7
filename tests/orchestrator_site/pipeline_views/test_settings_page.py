"""The view of what a pipeline is set to."""

import pytest
from django.test import Client

from tests.factories import make_pipeline

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>"
PROBLEM = {"file": "pipelines/etl/metadata.yaml", "line": 7, "reason": "cycle: a → b → a", "hint": "Take one away."}


def test_the_settings_name_callbacks_and_do_not_spell_them_out(page: Client) -> None:
    pipeline = make_pipeline()
    version = pipeline.current_version
    assert version is not None
    entries = [{"uuid": "page_ada", "retry_config": {}}, {"uuid": "page_bob", "timeout": None}]
    version.settings = {"callbacks": {"failure": entries, "success": []}}
    version.save(update_fields=["settings"])

    settings = page.get("/pipelines/etl/settings/").context["settings"]

    assert settings == {"callbacks": {"failure": "page_ada, page_bob"}}
