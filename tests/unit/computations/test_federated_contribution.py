"""What a holder makes of what an app gives back: words whose sum is the mean, or a flag and noise."""

import math

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from support.federation import RUN_ID, identify, model, question_of

from kapok.computations.engines import Thresholds
from kapok.computations.federated.contribution import contribute, read_instruction, withheld
from kapok.computations.federated.layout import HEAD_WORDS, read_head, write_head
from kapok.computations.federated.mean import mean_of
from kapok.computations.federated.question import Question
from kapok.errors import InvalidInput, KapokError, TimedOut
from kapok.flower import messages
from kapok.protocols.words import WordVector

OPEN = Thresholds(min_rows=1, min_cell=1)
W, B = np.array([[0.25, -1.5], [3.0, 0.125]], np.float32), np.array([2.0])


class Scripted:
    """An app whose replies are written down."""

    def __init__(self, arrays=None, rows=50, records=1, **metrics):
        self.rows, self.records, self.metrics = rows, records, {}
        self.content = {f"m{n}": MetricRecord(metrics) for n in range(records)}
        if arrays is not None:
            self.content["arrays"] = arrays if isinstance(arrays, ArrayRecord) else model(**arrays)

    def call(self, instruction):
        from flwr.common.serde import message_from_proto, message_to_proto
        from flwr.proto.message_pb2 import Message as ProtoMessage

        asked = messages.addressed(instruction, run_id=RUN_ID, node_id=2)
        message = message_from_proto(ProtoMessage.FromString(asked))
        return message_to_proto(Message(RecordDict(self.content), reply_to=message)).SerializeToString()


def instruction(kind="train", **arrays):
    identify()
    content = RecordDict(
        {"arrays": model(**(arrays or {"w": W, "b": B})), "config": ConfigRecord({"lr": 0.1})}
    )
    return messages.instruction_of(Message(content, 2, kind))


def asked(**bounds):
    return question_of(messages.read(instruction()), **bounds)


def contributed(heart, app, question=None, thresholds=OPEN, kind="train"):
    told = []
    question = question or asked()
    shown = messages.read(instruction(kind))
    words = contribute(question, heart, shown, app, thresholds, lambda *said: told.append(said))
    assert len(words) == question.words
    return words, told


def good(**changes):
    return Scripted(**({"arrays": {"w": W, "b": B}, "num-examples": 12, "loss": 0.5} | changes))


@pytest.mark.parametrize("bits", [32, 64])
def test_the_sum_of_contributions_is_the_weighted_mean(heart, bits):
    bounds = {"word_bits": bits, "value_range": 4.0, "examples": 40.0}
    question = asked(**bounds)
    one = good()
    two = good(arrays={"w": W * 0.5, "b": B - 1}, **{"num-examples": 28, "loss": 0.25})
    words = [contributed(heart, app, question)[0] for app in (one, two)]
    mean = mean_of(question, words[0].add(words[1]), trains=True)
    assert (mean.holders, mean.reply.weight, mean.reply.records) == (2, 40.0, ("arrays", "m0"))
    assert mean.reply.metrics == {"loss": pytest.approx((12 * 0.5 + 28 * 0.25) / 40, abs=1e-12)}
    assert np.abs(mean.reply.arrays["w"] - (12 * W + 28 * W * 0.5) / 40).max() <= max(mean.resolution, 2e-7)
    assert np.abs(mean.reply.arrays["b"] - (12 * B + 28 * (B - 1)) / 40).max() <= mean.resolution
    assert mean.resolution < (1e-8 if bits == 32 else 1e-17)


def test_an_evaluation_has_metrics_and_no_arrays(heart):
    words, told = contributed(heart, good(arrays=None, loss=[1.0, 3.0]), kind="evaluate")
    mean = mean_of(asked(), words, trains=False)
    assert (told, mean.reply.arrays) == ([], {})
    assert mean.reply.metrics == {"loss": (1.0, 3.0)}
    assert mean.reply.records == ("", "m0")


NAN = np.array([math.nan])
REFUSED = {
    "no arrays": {"arrays": None},
    "another name": {"arrays": {"w": W, "c": B}},
    "one too many": {"arrays": {"w": W, "b": B, "c": B}},
    "another shape": {"arrays": {"w": W.T.reshape(4), "b": B}},
    "rows of data as weights": {"arrays": {"w": np.ones((920, 14), np.float32), "b": B}},
    "another kind of type": {"arrays": {"w": W.astype(complex), "b": B}},
    "whole numbers for floats": {"arrays": {"w": W.astype(np.int32), "b": B}},
    "truth values": {"arrays": {"w": W > 0, "b": B}},
    "no number": {"arrays": {"w": W, "b": NAN}},
    "infinite": {"arrays": {"w": W, "b": NAN * 0 + np.inf}},
    "beyond the range": {"arrays": {"w": W, "b": B * 1000}},
    "below the range": {"arrays": {"w": W, "b": B * -1000}},
    "no weight": {"num-examples": [1]},
    "weight 0": {"num-examples": 0},
    "negative weight": {"num-examples": -3},
    "infinite weight": {"num-examples": math.inf},
    "weight that is no number": {"num-examples": math.nan},
    "more examples than the question allows": {"num-examples": 10**7 + 1},
    "a metric that is no number": {"loss": math.nan},
    "a metric too large": {"loss": 1e300},
    "too many metrics": {"loss": [0.0] * 33},
    "metrics with too long names": {"x" * 600: 1.0},
    "two records of metrics": {"records": 2},
    "an array that is no array": {
        "arrays": ArrayRecord({"w": Array("float32", (2, 2), "pickle", b"x"), "b": Array(B)})
    },
    "an array of objects": {
        "arrays": ArrayRecord({"w": Array("object", (1,), "numpy.ndarray", b"\x80\x04N."), "b": Array(B)})
    },
}


@pytest.mark.parametrize("what", REFUSED)
def test_whatever_breaks_the_rules_is_withheld_and_told_in_the_log_alone(heart, what):
    words, told = contributed(heart, good(**REFUSED[what]))
    assert len(told) == 1
    assert told[0][0] == "every measure"
    with pytest.raises(KapokError) as caught:
        mean_of(asked(), words, trains=True)
    assert caught.value.code == "round_withheld"


def test_the_same_reply_within_the_rules_is_not_withheld(heart):
    assert contributed(heart, good())[1] == []


def test_an_app_that_fails_and_one_with_too_few_rows_are_withheld(heart):
    class Failing(Scripted):
        def call(self, instruction):
            raise self.content["error"]

    for error in (TimedOut("the app took too long", code="app_timed_out"), ValueError("a row: 63,1,145")):
        app = Failing()
        app.content["error"] = error
        [(_, why)] = contributed(heart, app)[1]
        assert "145" not in why
    [(_, why)] = contributed(heart, good(rows=19), thresholds=Thresholds(min_rows=20, min_cell=1))[1]
    assert "min_rows" in why
    assert contributed(heart, good(rows=20), thresholds=Thresholds(min_rows=20, min_cell=1))[1] == []


def test_what_is_withheld_is_uniform_and_its_flag_does_not_count(heart):
    question = asked(word_bits=32, value_range=4.0)
    seen = [withheld(question) for _ in range(40)]
    words = np.array([one.to_int64() for one in seen])
    assert len(set(words[:, 0].tolist())) > 30
    assert (words[:, 0] != 0).all()
    assert np.abs((words[:, 1:] / 2.0**31).mean()) < 0.02
    assert (words[:, 1:] / 2.0**31).std() == pytest.approx(1 / math.sqrt(3), abs=0.02)


def added(words):
    return words[0].add(*words[1:]).to_int64()


@pytest.mark.parametrize("bits", [32, 64])
def test_the_sum_of_flags_tells_nothing_of_how_many_have_withheld(bits):
    question = asked(word_bits=bits, value_range=4.0)
    for holders in (1, 2, 10):
        sums = [added([withheld(question) for _ in range(holders)]) for _ in range(100)]
        quarters, _ = np.histogram([words[0] / 2.0 ** (bits - 1) for words in sums], bins=4, range=(-1, 1))
        assert quarters.min() > 5
        assert all(read_head(words).withheld for words in sums)


def test_flags_that_add_up_to_nothing_leave_no_mean(heart):
    """Once in 2^b the flags of two hide each other: the number of holders is none that could be."""
    question = asked()
    words = withheld(question).add(contributed(heart, good(), question)[0]).to_int64()
    for holders, code in ((words[1], "round_withheld"), (2**40, "round_withheld"), (200, "metrics_differ")):
        # A weight above 0, so that the names decide.
        words[:8] = [0, holders, *[2**16 * 200] * 6]
        with pytest.raises(KapokError) as caught:
            mean_of(question, WordVector.from_int64(words, 64), trains=True)
        assert caught.value.code == code


def test_a_change_that_is_too_long_is_shortened(heart):
    question = asked(clip_norm=0.5)
    words, told = contributed(heart, good(arrays={"w": W + 3, "b": B + 4}), question)
    mean = mean_of(question, words, trains=True)
    length = math.sqrt(4 * 9 + 16)
    assert told == []
    assert mean.reply.arrays["w"] == pytest.approx(W + 3 * 0.5 / length, abs=1e-6)
    assert mean.reply.arrays["b"] == pytest.approx(B + 4 * 0.5 / length, abs=1e-9)
    words, _ = contributed(heart, good(arrays={"w": W, "b": B + 0.4}), question)
    assert mean_of(question, words, trains=True).reply.arrays["b"] == pytest.approx(B + 0.4, abs=1e-9)


def test_holders_whose_metrics_have_other_names_have_no_mean(heart):
    one, two = (contributed(heart, good(**{"loss": 1.0, name: 2.0}))[0] for name in ("auc", "acc"))
    with pytest.raises(InvalidInput) as caught:
        mean_of(asked(), one.add(two), trains=True)
    assert caught.value.code == "metrics_differ"


def test_a_head_that_nobody_wrote_is_no_mean(heart):
    for head in (write_head(1.0, b"[1", ()), write_head(1.0, b'["a","b",["x",99]]', (1.0,))):
        words = WordVector.from_int64(np.concatenate((head, np.zeros(5, np.int64))), 64)
        with pytest.raises(KapokError) as caught:
            mean_of(asked(), words, trains=True)
        assert caught.value.code == "impossible_sum"


def test_256_heads_add_up_within_words_of_32_bits():
    head = write_head(2.0**45, b"\xff" * 512, [-1.5, 250.0])
    total = read_head(WordVector.from_int64(head * 256, 32).to_int64())
    assert (total.withheld, total.holders, total.weight) == (False, 256, 2.0**53)
    assert total.names == b"\xff" * 512
    assert total.metrics[:3] == (-1.5 * 2.0**53, 250.0 * 2.0**53, 0.0)


@pytest.mark.parametrize(
    "shown",
    [
        b"no message",
        instruction("query"),
        instruction("train", w=W),
        instruction("train", w=W.reshape(4), b=B),
        instruction("evaluate", w=W, b=B, c=B),
        instruction("train", w=W * np.nan, b=B),
        instruction("train", w=W, b=B * 1e4),
    ],
)
def test_an_instruction_that_does_not_fit_the_question_is_refused(heart, shown):
    with pytest.raises(InvalidInput) as caught:
        read_instruction(asked(), heart, shown)
    assert caught.value.code == "bad_instruction"


def test_the_same_content_is_the_same_instruction_whoever_it_is_for():
    content = RecordDict({"arrays": model(w=W), "config": ConfigRecord({"b": 1, "a": 2})})
    again = RecordDict({"arrays": model(w=W), "config": ConfigRecord({"b": 1, "a": 2})})
    identify()
    assert messages.instruction_of(Message(content, 2, "train")) == messages.instruction_of(
        Message(again, 3, "train", ttl=5.0)
    )
    assert messages.instruction_of(Message(content, 2, "train")) != messages.instruction_of(
        Message(content, 2, "evaluate")
    )


def test_a_question_is_its_canonical_text_and_its_size_follows_from_it(heart):
    question = asked(columns=("age", "sex"), config={"lr": 0.5, "local": True})
    assert Question.parse(question.text, heart) == question
    assert Question.parse(question.text, heart).text == question.text
    assert (question.words, question.word_bits, question.rounds) == (HEAD_WORDS + 5, 64, 100)
    assert question.operations == ("federated",)
    said = question.describe()
    assert "age, sex" in said
    assert "lr = 0.5" in said
    assert "100 times" in said


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"app": "AB" * 32}, "bad_training"),
        ({"columns": ("sex", "age")}, "bad_training"),
        ({"exchanges": 0}, "bad_training"),
        ({"arrays": ()}, "bad_training"),
        ({"value_range": math.inf}, "bad_training"),
        ({"examples": 0.0}, "bad_training"),
        ({"value_range": 1e300, "examples": 1e300}, "bad_training"),
        ({"value_range": 1e-200, "examples": 1e-200}, "bad_training"),
        ({"clip_norm": -1.0}, "bad_training"),
        ({"weight": ""}, "bad_training"),
    ],
)
def test_a_question_that_cannot_be_is_refused(changes, code):
    with pytest.raises(InvalidInput) as caught:
        asked(**changes)
    assert caught.value.code == code


def test_a_mean_fits_into_the_floats_of_its_array(heart):
    """Of half floats, replied as wider ones: none is beyond the range, and none becomes infinite."""
    half = messages.read(instruction(w=W.astype(np.float16), b=B))
    with pytest.raises(InvalidInput) as caught:
        question_of(half, value_range=1e6)
    assert caught.value.code == "bad_training"
    assert "65504" in caught.value.message
    question = question_of(half, value_range=65504.0)
    words = contribute(question, heart, half, good(arrays={"w": W * 0 + 65504.0, "b": B}), OPEN)
    mean = mean_of(question, words, trains=True).reply.arrays["w"]
    assert mean.dtype == np.float16
    assert (mean == 65504).all()


@pytest.mark.parametrize("bound", [1e-100, 1e100])
def test_the_most_extreme_bounds_still_have_a_step(bound):
    layout = question_of(messages.read(instruction(b=B)), value_range=bound, examples=bound).layout
    assert all(
        math.isfinite(one) and one > 0 for one in (layout.scale(integer=False), layout.resolution(9, bound))
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "bad_training"),
        ("[]", "bad_training"),
        ('{"app": 1}', "bad_training"),
        (asked().text.replace('"columns":[]', '"columns":["nobody"]'), "unknown_column"),
        (asked().text.replace('"columns":[]', '"columns":[],"more":1'), "bad_training"),
        (asked().text.replace('"float32"', '"complex64"'), "bad_training"),
        (asked().text.replace("[2,2]", "[1073741824,1]"), "bad_training"),
    ],
)
def test_a_text_that_is_no_question_is_refused(heart, text, code):
    with pytest.raises(InvalidInput) as caught:
        Question.parse(text, heart)
    assert caught.value.code == code


def test_a_reply_that_is_no_message_is_refused_without_a_word_of_it():
    with pytest.raises(InvalidInput) as caught:
        messages.read_reply(b"63,1,145", "num-examples", trains=True)
    assert caught.value.code == "bad_reply"
    assert "145" not in caught.value.diagnostics()
