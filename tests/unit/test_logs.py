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
