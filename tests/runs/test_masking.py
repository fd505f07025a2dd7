from executors.base import Failure, Outcome, Verdict
from runs.masking import mask_outcome, mask_text, maskable

SECRET = "hunter2-hunter2"


def test_only_values_long_enough_are_looked_for_the_longest_first() -> None:
    assert maskable({"a": "short", "b": "12345678", "c": "0" * 12}) == ("0" * 12, "12345678")


def test_each_line_of_a_secret_is_one() -> None:
    key = "-----BEGIN KEY-----\nabcdefghijkl\n-----END KEY-----"

    assert mask_text("it said abcdefghijkl", maskable({"key": key})) == "it said ***"


def test_an_outcome_shows_no_secret_in_its_failure_or_previews() -> None:
    failure = Failure(type="Error", message=f"refused {SECRET}", traceback=SECRET, full_traceback=f"x{SECRET}x")
    result = {"outputs": [{"preview": {"kind": "table", "rows": [[1, f"key {SECRET}"]]}, "rows": 1}]}

    masked = mask_outcome(Outcome(verdict=Verdict.FAILED, failure=failure, result=result), maskable({"key": SECRET}))

    assert SECRET not in str(masked)
    assert masked.result["outputs"][0] == {"preview": {"kind": "table", "rows": [[1, "key ***"]]}, "rows": 1}


def test_an_output_can_still_be_found_when_a_word_of_its_place_is_secret() -> None:
    output = {"url": "/data/customers/7/output_0.parquet", "type": "dataframe", "preview": {"text": "customers"}}

    masked = mask_outcome(Outcome(verdict=Verdict.COMPLETED, result={"outputs": [output]}), ("customers", "dataframe"))

    assert masked.result["outputs"][0] == {**output, "preview": {"text": "***"}}


def test_without_secrets_the_outcome_is_the_same() -> None:
    outcome = Outcome(verdict=Verdict.COMPLETED, result={"outputs": []})

    assert mask_outcome(outcome, ()) is outcome
