"""Records the day's audit; fails if a file was changed."""

from demo_project.utils import store


@custom
def record_audit(files, changed, gaps, **kwargs):
    audit = {
        "audited_for": kwargs["execution_date"].date().isoformat(),
        "files": len(files),
        "problems": len(changed),
        "gaps": len(gaps),
    }
    with store.writing() as db:
        store.upsert(db, "audit", ["audited_for"], [audit])
    print(audit)
    return audit


@test
def test_no_file_was_changed(audit, *args):
    assert audit["problems"] == 0, f"{audit['problems']} data files differ from what was shipped"
