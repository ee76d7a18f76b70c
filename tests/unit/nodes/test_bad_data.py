"""After consent a node never fails visibly because of data: it suppresses every cell, and looks the same."""

import os

import pytest

from kapok.nodes.sources.engine import SourceEngine

QUESTION = "SELECT COUNT(*) AS n FROM clinic WHERE age >= 30"
GOOD = [(30 + index % 40, index % 2, "no") for index in range(50)]
BAD = {
    "out_of_bounds": [*GOOD, (121, 0, "no")],
    "bad_value_outside_the_filter": [*GOOD, (-1, 0, "no")],
    "outside_the_domain": [*GOOD, (40, 2, "no")],
    "not_a_number": [*GOOD, ("forty", 0, "no")],
    "between_two_steps": [*GOOD, ("40.5", 0, "no")],
    "unexpected_null": [*GOOD, ("", 0, "no")],
    "too_many_rows": GOOD * 21,
    "a_row_too_short": [*GOOD, (40, 0)],
}


def with_file(world, rows):
    """Two honest hospitals, and one whose file is what it is."""
    for name in "bc":
        world.add(name, GOOD)
    return world.add("a", rows)


def answered(job):
    opened = job.run()
    versions = [member.data_version for member in opened.members]
    assert len(set(versions)) == 3
    assert all(len(version) == 64 for version in versions)
    return job.answer(opened)


@pytest.mark.parametrize("fault", BAD)
def test_whatever_is_wrong_with_the_data_suppresses_and_shows_as_nothing_else(empty_world, fault):
    with_file(empty_world, BAD[fault])
    answer = answered(empty_world.job(QUESTION))
    assert answer.rows == ((None,),)
    assert answer.suppressed == ((0, "n"),)


def test_a_missing_file_suppresses(empty_world):
    with_file(empty_world, None)
    assert answered(empty_world.job(QUESTION)).rows == ((None,),)


def test_a_folder_in_place_of_the_file_suppresses(empty_world):
    with_file(empty_world, None).csv.mkdir()
    assert answered(empty_world.job(QUESTION)).rows == ((None,),)


def test_good_data_is_shown(empty_world):
    with_file(empty_world, GOOD)
    assert answered(empty_world.job(QUESTION)).rows == ((150,),)


def test_a_new_data_version_is_checked_anew_and_mended_data_is_answered_again(empty_world):
    node = with_file(empty_world, GOOD)
    shown = []
    for rows in (GOOD, BAD["out_of_bounds"], GOOD[:-1], GOOD):
        node.write_rows(rows)
        shown.append(answered(empty_world.job(QUESTION)).rows[0][0])
    assert shown == [150, None, 149, 150]


def test_a_version_names_the_content_and_not_the_file(empty_world):
    node = with_file(empty_world, GOOD)

    def version(job):
        return next(one.data_version for one in job.run().members if one.name == node.name)

    first = version(empty_world.job(QUESTION))
    os.utime(node.csv, (1, 1))
    assert version(empty_world.job(QUESTION)) == first
    node.write_rows(GOOD[:-1])
    assert version(empty_world.job(QUESTION)) != first


def test_a_file_that_changes_while_it_is_read_suppresses(empty_world, monkeypatch):
    node = with_file(empty_world, GOOD)
    job = empty_world.job(QUESTION)
    consents = job.consent()
    honest = job.seal(consents, job.nodes[1:])
    fetch = SourceEngine.fetch

    def fetch_and_change(engine, sql):
        found = fetch(engine, sql)
        if "source" in sql:
            node.write_rows([*GOOD, *GOOD])
        return found

    monkeypatch.setattr(SourceEngine, "fetch", fetch_and_change)
    seals = [*job.seal(consents, job.nodes[:1]), *honest]
    assert job.answer(job.unseal(consents, seals, job.release(seals))).rows == ((None,),)


def test_an_engine_that_breaks_suppresses_and_its_words_stay_unsaid(empty_world, monkeypatch, caplog):
    with_file(empty_world, GOOD)
    job = empty_world.job(QUESTION)
    consents = job.consent()
    honest = job.seal(consents, job.nodes[1:])

    def fail(engine, sql):
        raise MemoryError("row 7 holds 43")

    monkeypatch.setattr(SourceEngine, "fetch", fail)
    seals = [*job.seal(consents, job.nodes[:1]), *honest]
    assert job.answer(job.unseal(consents, seals, job.release(seals))).rows == ((None,),)
    assert "43" not in " ".join(record.getMessage() for record in caplog.records)


def test_a_filter_that_keeps_too_few_rows_is_suppressed(empty_world):
    with_file(empty_world, [(20, 1, "no")] * 40 + [(30, 1, "no")] * 4)
    assert answered(empty_world.job(QUESTION)).rows == ((None,),)
