import asyncio
import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest

from kapok import logs
from kapok.errors import InvalidInput, Refused


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    with warnings.catch_warnings():
        yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_object_per_line_with_extras() -> None:
    stream = io.StringIO()
    logs.configure(stream)
    logging.getLogger("kapok.x").info("job %s\nopened", 1, extra={"job": "ab", "members": ("a", "b")})
    logging.getLogger("kapok.x").debug("unseen")
    (entry,) = lines(stream)
    assert entry["message"] == "job 1\nopened"
    assert entry["job"] == "ab"
    assert entry["members"] == ["a", "b"]
    assert entry["level"] == "info"
    assert str(entry["time"]).endswith("+00:00")


def test_text_of_foreign_exceptions_stays_out() -> None:
    stream = io.StringIO()
    logs.configure(stream, "warning")
    try:
        try:
            raise ValueError("cell 4711")
        except ValueError as cause:
            raise Refused("too many", code="too_many") from cause
    except Refused:
        logging.getLogger("kapok.x").exception("failed")
    (entry,) = lines(stream)
    assert "4711" not in stream.getvalue()
    assert entry["exception"]["code"] == "too_many"  # type: ignore[index]
    assert entry["exception"]["cause"]["class"] == "ValueError"  # type: ignore[index]
    assert "test_logs.py" in entry["exception"]["at"][0]  # type: ignore[index]


def test_a_warning_is_a_line_like_any_other_without_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    logs.configure(stream, "warning")
    warnings.simplefilter("always")
    warnings.warn("cell 4711", RuntimeWarning, stacklevel=1)
    (entry,) = lines(stream)
    assert (entry["level"], entry["class"]) == ("warning", "RuntimeWarning")
    assert "test_logs.py:" in str(entry["at"])
    assert "4711" not in stream.getvalue()
    assert capsys.readouterr().err == ""


def test_configuring_again_replaces_the_stream() -> None:
    first, second = io.StringIO(), io.StringIO()
    logs.configure(first)
    logs.configure(second, logging.ERROR)
    logging.getLogger("kapok.x").warning("unseen")
    logging.getLogger("kapok.x").error("seen")
    assert first.getvalue() == ""
    assert [entry["message"] for entry in lines(second)] == ["seen"]


def test_unknown_level_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        logs.configure(io.StringIO(), "loud")
    assert caught.value.code == "bad_log_level"


def test_what_is_logged_for_a_job_says_so_whoever_logs_it() -> None:
    stream = io.StringIO()
    logs.configure(stream)
    log = logging.getLogger("kapok.x")
    logs.told(job="nobody's")
    with logs.about(party="ada"):
        log.info("called")
        logs.told(job="ab")
        with logs.about(attempt=2):
            log.info("within")
            logs.told(attempt=3)
            log.info("its own", extra={"job": "cd"})
        log.info("without")
    log.info("after")
    found = [{key: one.get(key) for key in ("job", "party", "attempt")} for one in lines(stream)]
    assert found == [
        {"job": None, "party": "ada", "attempt": None},
        {"job": "ab", "party": "ada", "attempt": 2},
        {"job": "cd", "party": "ada", "attempt": 3},
        {"job": "ab", "party": "ada", "attempt": None},
        {"job": None, "party": None, "attempt": None},
    ]


async def test_tasks_at_once_are_logged_apart() -> None:
    stream = io.StringIO()
    logs.configure(stream)

    async def work(job: str) -> None:
        with logs.about():
            logs.told(job=job)
            await asyncio.sleep(0)
            logging.getLogger("kapok.x").info(job)

    await asyncio.gather(*(work(job) for job in "abc"))
    assert [(one["message"], one["job"]) for one in lines(stream)] == [("a", "a"), ("b", "b"), ("c", "c")]


def test_text_for_people_is_one_line_and_says_the_same() -> None:
    stream = io.StringIO()
    logs.configure(stream, "info", "text")
    with logs.about(job="ab"):
        logging.getLogger("kapok.x").warning(
            "job %s\x1b[2J\nopened", 1, extra={"party": "a b", "code": "", "members": ("a", "b"), "n": 3}
        )
        try:
            raise ValueError("cell 4711")
        except ValueError:
            logging.getLogger("kapok.x").exception("failed")
    first, second = stream.getvalue().splitlines()
    time, _, rest = first.partition(" ")
    assert time.endswith("+00:00")
    assert rest == ('warning job 1\\u001b[2J opened party="a b" members="[\\"a\\", \\"b\\"]" n=3 job=ab')
    assert "failed job=ab exception=" in second
    assert "4711" not in second
    assert "ValueError" in second
