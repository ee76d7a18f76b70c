"""What was suppressed and why is in the holder's own log: without a count, and nowhere outside."""

import base64
import json
import logging

import pytest

from kapok.nodes.runner.contribution import _log

FEW_KNOWN = [(30 + index, index % 2 if index < 2 else "", "no") for index in range(50)]
PLENTY = [(30 + index % 40, index % 2, "no") for index in range(50)]
BAD = [*PLENTY, (121, 0, "no"), (130, 0, "no")]
QUESTION = "SELECT COUNT(*), SUM(sex) FROM clinic WHERE age >= 30"


@pytest.fixture
def said(caplog):
    """What the node with the fault has written into its log about suppression, as it is written there."""
    caplog.set_level(logging.DEBUG, logger=_log.name)

    def read():
        return [one for one in caplog.records if one.getMessage() == "suppressed"]

    return read


def hospitals(world, rows):
    for name in "bc":
        world.add(name, PLENTY)
    return world.add("a", rows)


@pytest.mark.parametrize(
    ("rows", "sql", "measure", "why"),
    [
        (FEW_KNOWN, QUESTION, "sex", "a cell has fewer known values than min_cell"),
        (PLENTY, "SELECT COUNT(*) FROM clinic WHERE age > 68", "every measure", "fewer rows than min_rows"),
        (BAD, QUESTION, "every measure", "column age: cells are out of bounds or outside the domain"),
        (PLENTY * 21, QUESTION, "every measure", "the source has more rows than the schema allows"),
        ([], QUESTION, "every measure", "the source has no rows"),
        (None, QUESTION, "every measure", "the file is not there"),
    ],
)
def test_the_holders_log_says_measure_reason_and_what_to_do(empty_world, said, rows, sql, measure, why):
    hospitals(empty_world, rows)
    job = empty_world.job(sql)
    job.run()
    mine = {(one.job, one.asset, one.measure): one for one in said() if one.measure == measure}
    record = mine[job.id, "clinic", measure]
    assert why in record.why
    assert "kapok node check" in record.remedy
    assert not any(char.isdigit() for char in record.why + record.measure)


def test_nothing_is_said_where_nothing_was_suppressed(empty_world, said):
    hospitals(empty_world, PLENTY)
    empty_world.job(QUESTION).run()
    assert said() == []


def test_a_file_that_cannot_be_used_is_not_called_changed(empty_world, said, monkeypatch):
    node = hospitals(empty_world, PLENTY)
    job = empty_world.job(QUESTION)
    consents = job.consent()

    def broken(_self, _engine):
        raise MemoryError("row 7 holds 43")

    monkeypatch.setattr("kapok.nodes.sources.table.Table._report", broken)
    job.seal(consents, [node])
    (record,) = said()
    assert record.why == "the table could not be read"


def test_no_word_of_it_leaves_the_holder(empty_world, said):
    """All that a suppressed node sends, beside what the same node sends when nothing is hidden."""
    node = hospitals(empty_world, FEW_KNOWN)
    sent = []
    for rows in (FEW_KNOWN, PLENTY):
        node.write_rows(rows)
        job = empty_world.job(QUESTION)
        consents = job.consent()
        seals = job.seal(consents)
        mine = job.nodes.index(node)
        (release,) = job.complete(node, seals)
        sent.append(([consents[mine], seals[mine].token, release.token], seals[mine].chunks))
    assert {record.measure for record in said()} == {"sex"}
    (hidden, hidden_chunks), (shown, shown_chunks) = sent
    assert [len(chunk) for chunk in hidden_chunks] == [len(chunk) for chunk in shown_chunks]
    for one, other in zip(hidden, shown, strict=True):
        assert fields(one) == fields(other)
        for word in ("min_cell", "min_rows", "suppress", "fewer", "check"):
            assert word not in json.dumps(payload(one))


def payload(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def fields(token):
    """Names of a statement's fields with their types and, for texts, their lengths."""
    return {
        name: (type(value).__name__, len(value) if isinstance(value, str | list) else None)
        for name, value in payload(token).items()
    }
