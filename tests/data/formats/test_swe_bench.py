"""Reports of SWE-bench's harness, as its `reporting.py` and `grading.py` write them."""

import json

import pytest
from logs import put

from lleval_jax import data
from lleval_jax.errors import BadFile, BadInput, DataWarning

RUN = {
    "total_instances": 6,
    "submitted_instances": 5,
    "completed_instances": 3,
    "resolved_instances": 2,
    "unresolved_instances": 1,
    "empty_patch_instances": 1,
    "error_instances": 1,
    "completed_ids": ["django__django-1", "sympy__sympy-2", "psf__requests-3"],
    "incomplete_ids": ["sympy__sympy-9"],
    "empty_patch_ids": ["django__django-4"],
    "submitted_ids": [],
    "resolved_ids": ["django__django-1", "sympy__sympy-2"],
    "unresolved_ids": ["psf__requests-3"],
    "error_ids": ["scikit-learn__scikit-learn-5"],
    "schema_version": 2,
}


def one(name: str, resolved: bool) -> dict:
    facts = {"patch_is_None": False, "patch_exists": True, "patch_successfully_applied": True, "resolved": resolved}
    return {name: facts | {"tests_status": {"FAIL_TO_PASS": {"success": [], "failure": []}}}}


def test_a_run(tmp_path):
    path = put(tmp_path / "org__agent-1.5.nightly.json", RUN)
    with pytest.warns(DataWarning) as told:
        found = data.read(path)
    said = " ".join(str(each.message) for each in told)
    assert "as on the board, 1 ended with an error, 1 ended with an empty patch" in said
    assert "1 of 6 answers was not scored and was left out" in said
    assert found.rows == ("org/agent-1.5",)
    scores = dict(zip(found.items, found.scores[0].tolist(), strict=True))
    assert scores["django__django-1"] == scores["sympy__sympy-2"] == 1
    assert scores["psf__requests-3"] == scores["django__django-4"] == scores["scikit-learn__scikit-learn-5"] == 0
    groups = dict(zip(found.items, (found.groups[i] for i in found.group), strict=True))
    assert groups["scikit-learn__scikit-learn-5"] == "scikit-learn/scikit-learn"


@pytest.mark.parametrize("inner", ["20250101_agent/logs", "run_evaluation/nightly/20250101_agent"])
def test_a_report_an_instance(tmp_path, inner):
    """A submission's folder, and the harness's own; the list next to the reports is set aside."""
    for name, resolved in (("django__django-1", True), ("sympy__sympy-2", False)):
        put(tmp_path / inner / name / "report.json", one(name, resolved))
        (tmp_path / inner / name / "patch.diff").write_text("--- a\n+++ b\n")
    if inner.endswith("logs"):
        put(tmp_path / inner / "../results/results.json", {"no_generation": [], "no_logs": [], "resolved": ["a__b-1"]})
    found = data.read(tmp_path)
    assert found.rows == ("20250101_agent",)
    assert dict(zip(found.items, found.scores[0].tolist(), strict=True)) == {"django__django-1": 1, "sympy__sympy-2": 0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"unresolved_ids": ["django__django-1"]}, "'django__django-1' is in two lists, one of them unresolved_ids"),
        ({name: [] for name in RUN if name.endswith("_ids")}, "lists no instances"),
        ({"resolved_ids": 3}, "agent.run.json"),
    ],
)
def test_bad_reports(tmp_path, change, said):
    path = put(tmp_path / "agent.run.json", RUN | change)
    with pytest.raises(BadInput, match=said):
        data.read(path)


def test_a_list_of_what_was_resolved_is_no_report(tmp_path):
    path = put(tmp_path / "results.json", {"no_generation": [], "no_logs": [], "resolved": ["a__b-1"]})
    with pytest.raises(BadFile, match="not those that were tried; read the folder with one report.json an instance"):
        data.read(path)


def test_a_report_of_one_instance_names_its_folder(tmp_path):
    path = put(tmp_path / "agent" / "a__b-1" / "report.json", one("a__b-1", True))
    found = data.read(path)
    assert (found.rows, found.items, json.loads(path.read_text()).keys()) == (("agent",), ("a__b-1",), {"a__b-1"})
