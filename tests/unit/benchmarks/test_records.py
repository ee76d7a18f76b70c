import json
from pathlib import Path

import msgspec
import pytest

from benchmarks.errors import BadArgument
from benchmarks.records import FORMAT, Aim, Report


def test_a_report_is_read_back_as_it_was_written(tmp_path, report):
    path = tmp_path / "report.json"
    path.write_bytes(report.to_json())
    assert Report.read(path) == report


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(format="kapok-benchmark-0"),
        lambda document: document.update(extra=1),
        lambda document: document.pop("figures"),
        lambda document: document["figures"][0].update(threads="two"),
        lambda document: document["figures"][0]["entries"][0].update(role="winner"),
    ],
)
def test_another_document_is_refused(tmp_path, change, report):
    document = json.loads(report.to_json())
    change(document)
    path = tmp_path / "report.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BadArgument, match=r"is not a benchmark's result"):
        Report.read(path)


def test_reports_of_one_machine_are_joined(report):
    other = msgspec.structs.replace(report, command="python -m benchmarks --suite core", started="2999")
    both = Report.joined([other, report])
    assert both.command == f"{report.command}\n{other.command}"
    assert both.figures == report.figures + other.figures
    assert both.facts == report.facts + other.facts
    assert both.seconds == 2 * report.seconds
    assert Report.joined([report]) == report
    for change in ({"versions": {"numpy": "0"}}, {"machine": {"cpu": "another"}}):
        with pytest.raises(BadArgument, match="different processors or versions"):
            Report.joined([report, msgspec.structs.replace(report, **change)])


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadArgument, match="cannot be read"):
        Report.read(tmp_path / "none.json")


def test_the_schema_names_every_part_of_the_document(report):
    schema = Report.schema()
    described = schema["$defs"]["Report"]
    document = json.loads(report.to_json())
    assert set(described["properties"]) == set(document)
    assert set(described["required"]) == set(document)
    assert described["additionalProperties"] is False
    entry = schema["$defs"]["Entry"]
    assert set(entry["properties"]) == set(document["figures"][0]["entries"][0])


def test_kept_results_can_still_be_read():
    kept = Path(__file__).parents[3] / "benchmarks" / "results" / "results.json"
    assert Report.read(kept).format == FORMAT


@pytest.mark.parametrize(
    ("aim", "value", "reached"),
    [
        (Aim(of="ratio", least=2.0), 2.0, True),
        (Aim(of="ratio", least=2.0), 1.99, False),
        (Aim(of="value", most=4.0), 4.0, True),
        (Aim(of="value", most=4.0), 4.01, False),
    ],
)
def test_an_aim_is_reached_or_not(aim, value, reached):
    assert aim.reached(value) is reached
