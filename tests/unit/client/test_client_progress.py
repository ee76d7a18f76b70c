from typing import Any

import pytest

from kapok.client.progress import Progress, Stopwatch, progress_of, short_name
from kapok.wire.messages import JobState, JobStatus


def status(
    state: JobState, *, waiting: tuple[str, ...] = (), roster: tuple[str, ...] = (), **more: Any
) -> JobStatus:
    return JobStatus(
        job_id="ab" * 32,
        state=state,
        specification="",
        waiting_for=waiting,
        roster=roster,
        refusals=(),
        error=None,
        submitted_at=0.0,
        changed_at=0.0,
        attempt=0,
        bytes_received=0,
        **more,
    )


VA = "spiffe://t.example/org/va/node/main"


def test_words_for_every_state():
    assert (
        progress_of(status(JobState.GATHERING, waiting=(VA,)), 4).text == "waiting for consents 3/4: va/main"
    )
    assert progress_of(status(JobState.SEALING, roster=("a", "b", "c")), 4).text == "sealing 3/3"
    assert (
        progress_of(status(JobState.RELEASING, waiting=("a",), roster=("a", "b")), 2).text
        == "releasing 1/2: a"
    )
    for state in JobState:
        told = progress_of(status(state), 4)
        assert told.text
        assert told.step == state.value


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"not_connected": (VA,)}, "waiting for consents 3/4: va/main (not connected)"),
        ({"fewer_after_s": 30.0}, "waiting for consents 3/4: va/main; goes on with fewer after 30 s"),
        (
            {"cohort_fixed": True, "not_connected": (VA,)},
            "waiting for consents 3/4: va/main (not connected); does not go on with fewer: "
            "earlier answers have fixed which nodes a sum is of",
        ),
        ({"turn_after": 1}, "waiting for its turn: 1 job of yours before it"),
        ({"fewer_after_s": float("nan")}, "waiting for consents 3/4: va/main"),
    ],
)
def test_who_waits_is_told_who_is_away_and_whether_it_goes_on_without_them(more, text):
    assert progress_of(status(JobState.GATHERING, waiting=(VA,), **more), 4).text == text


def test_names_are_shortened_and_others_left():
    assert short_name(VA) == "va/main"
    assert short_name("somebody") == "somebody"


def test_stopwatch_adds_up_steps_and_passes_everything_on():
    now, heard = [0.0], []
    watch = Stopwatch(heard.append, clock=lambda: now[0])
    for at, step in (
        (1.0, "submitted"),
        (1.5, "notice"),
        (3.0, "sealing"),
        (4.0, "gathering"),
        (6.0, "sealing"),
    ):
        now[0] = at
        watch(Progress(step=step, text=step))
    now[0] = 10.0
    assert watch.seconds() == {"asking": 1.0, "submitted": 2.0, "sealing": 5.0, "gathering": 2.0}
    assert watch.total() == 10.0
    assert [progress.step for progress in heard] == ["submitted", "notice", "sealing", "gathering", "sealing"]
