"""Training together: a server app of the analyst's says what comes next, each exchange is a round of one job.

    app folder ─▶ server app, to its first instruction ─▶ the model's shape ─▶ question ─▶ job, round 1
    sum ─▶ mean ─▶ kept ─▶ given to the server app ─▶ its next instruction ─▶ round 2 … ─▶ history, model

Whatever dies in between: the server app is run again with the replies that were kept, and what it asks then
must be what it asked before.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kapok.client.catalogue import choose_members
from kapok.client.exchanges import Exchange, Exchanges, Training, fingerprint
from kapok.client.history import History
from kapok.client.progress import Listener, Progress, Stopwatch, silent
from kapok.client.submission import Request, SealName
from kapok.client.turns import first_turn
from kapok.client.waiting import follow
from kapok.computations.federated.contribution import fitting
from kapok.computations.federated.mean import mean_of, round_withheld
from kapok.computations.federated.question import ArrayShape, Question
from kapok.documents.bundle import Bundle, ConfigValue, read_bundle
from kapok.errors import InvalidInput, KapokError, SealBroken, plain
from kapok.flower import messages

if TYPE_CHECKING:
    from kapok.client.catalogue import VerifiedDataset
    from kapok.client.jobs import JobRecord
    from kapok.client.result import Result
    from kapok.client.workspace import Workspace
    from kapok.computations.registry import Next
    from kapok.flower.running import ServerProgram
    from kapok.protocols.secure_sum.analyst import OpenedSum

__all__ = ["TrainingRequest", "resume", "train"]

_SMALL_MODEL: Final = 250_000
_WIDE: Final = {"value_range": 1024.0, "integer_range": 1e6, "examples": 1e7}
_NARROW: Final = {"value_range": 16.0, "integer_range": 1e6, "examples": 1e5}
_BOUNDS: Final = ("word_bits", *_WIDE)
_DEADLINE_S: Final = 24 * 3600
_NO_SUM: Final = frozenset({"round_withheld", "metrics_differ", "impossible_sum", "too_many_exchanges"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRequest:
    """What is wanted.

    Attributes:
        app: The app's folder.
        dataset: Name of the dataset.
        config: Overrides of the app's run configuration.
        columns: What of the dataset the app sees; None: all of it.
        exchanges: Most exchanges; None: as many as its strategy starts with.
        word_bits: 32 or 64; None: 64 for models of up to 250,000 values, else 32.
        value_range: Largest magnitude of a value of the model; None: 1024 in words of 64 bits, 16 in 32.
        integer_range: Likewise of its arrays of whole numbers; None: 1,000,000.
        examples: Most examples of all holders together; None: 10,000,000, or 100,000 in words of 32 bits.
        clip_norm: Largest norm of what an app changes at one node; None: no limit.
        seal: How sums travel.
        at_least: Least number of organisations; None: all that are asked.
        parties: Organisations to ask; None: all that joined the dataset.
        deadline_s: Seconds after which the training has failed.
    """

    app: Path
    dataset: str
    config: Mapping[str, ConfigValue] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None
    exchanges: int | None = None
    word_bits: int | None = None
    value_range: float | None = None
    integer_range: float | None = None
    examples: float | None = None
    clip_norm: float | None = None
    seal: SealName = "pad"
    at_least: int | None = None
    parties: tuple[str, ...] | None = None
    deadline_s: int = _DEADLINE_S


async def train(workspace: Workspace, request: TrainingRequest, progress: Listener = silent) -> Result:
    """Run an app over the holders of a dataset, and return its history; the model lies in `model_file`.

    Raises:
        KapokError: see `kapok.errors`.
    """
    from kapok.flower.building import build_bundle
    from kapok.flower.running import Ended

    watch = Stopwatch(progress)
    dataset = await workspace.dataset(request.dataset)
    content = await asyncio.to_thread(build_bundle, request.app)
    bundle = read_bundle(content)
    _check_config(bundle, request.config)
    started = Training(
        folder=str(request.app.resolve()),
        app=bundle.hash,
        config=dict(request.config),
        nodes=len(choose_members(dataset, request.parties)),
        run_id=secrets.randbits(62),
        seed=secrets.randbits(32),
    )
    program = _program(started, bundle)
    program.begin()
    try:
        first = await asyncio.to_thread(program.next)
        if isinstance(first, Ended):
            raise _ended_early(first)
        question = _question(request, dataset, bundle, first, program)
        watch(Progress(step="notice", text=_about(question, request)))
        if beside := _beside_the_model(first):
            watch(Progress(step="notice", text=beside))
        asked = Request(
            sql=question.text,
            computation="federated",
            seal=request.seal,
            at_least=request.at_least,
            parties=request.parties,
            deadline_s=request.deadline_s,
        )

        def begin(record: JobRecord) -> JobRecord:
            Exchanges(workspace.folder.training_folder(record.job_id)).begin(started)
            title = question.title(f"{bundle.name} {bundle.version}")
            return msgspec.structs.replace(record, sql=title, turn=first_turn(first))

        record = await workspace.prepared(asked, dataset, watch, begin)
        await workspace.send(record, watch)
        return await _carried(workspace, record, watch, question, program, first)
    finally:
        program.give_up()


async def resume(workspace: Workspace, record: JobRecord, progress: Listener = silent) -> Result:
    """Go on with a training where it was. See `train`.

    Raises:
        NotFound: ``no_training``.
        InvalidInput: ``app_changed``, or ``resume_differs``: the server app does not do the same again.
        KapokError: as `train`.
    """
    from kapok.client.opening import read_specification
    from kapok.documents.dataset import Dataset
    from kapok.errors import NotFound
    from kapok.flower.building import build_bundle

    watch = Stopwatch(progress)
    record = await asyncio.to_thread(workspace.folder.unlock, record)
    exchanges = Exchanges(workspace.folder.training_folder(record.job_id))
    started = exchanges.training()
    _, specification, _ = read_specification(record.specification, workspace.verifier)
    question = Question.parse(specification.question, Dataset.from_payload(record.dataset))
    bundle = read_bundle(await asyncio.to_thread(build_bundle, Path(started.folder)))
    if bundle.hash != started.app:
        raise InvalidInput(
            f"the app in {started.folder} is not the one that this training began with",
            code="app_changed",
            remedy="bring its files back as they were, or train anew",
        )
    program = _program(started, bundle)
    program.begin()
    try:
        pending = await asyncio.to_thread(_replayed, program, exchanges, record)
        try:
            return await _carried(workspace, record, watch, question, program, pending)
        except NotFound as error:
            if error.code != "unknown_job":
                raise
            await workspace.send(record, watch)
            return await _carried(workspace, record, watch, question, program, pending)
    finally:
        program.give_up()


def _program(started: Training, bundle: Bundle) -> ServerProgram:
    from kapok.flower.running import ServerProgram

    return ServerProgram(
        bundle,
        Path(started.folder),
        started.config,
        nodes=started.nodes,
        run_id=started.run_id,
        seed=started.seed,
    )


def _replayed(program: ServerProgram, exchanges: Exchanges, record: JobRecord) -> bytes:
    """Run the server app up to the instruction whose round is under way."""
    from kapok.flower.running import Ended

    if record.turn is None:
        raise exchanges._damaged("turn")
    wanted = {one.number: one.asked for one in exchanges.done()} | {
        record.turn.round: fingerprint(record.turn.parameters)
    }
    for number in range(1, record.turn.round + 1):
        asked = program.next()
        if isinstance(asked, Ended):
            raise _ended_early(asked)
        if fingerprint(asked) != wanted.get(number):
            raise InvalidInput(
                f"run again, the server app asks something else in exchange {number} than it did before",
                code="resume_differs",
                remedy="let it seed its random numbers (those of `random` and NumPy are seeded for it), and "
                "depend on nothing but its configuration and the replies; or train anew",
            )
        if number < record.turn.round:
            program.answer(exchanges.reply(number))
    return record.turn.parameters


async def _carried(
    workspace: Workspace,
    record: JobRecord,
    watch: Stopwatch,
    question: Question,
    program: ServerProgram,
    pending: bytes,
) -> Result:
    """Carry instructions and replies between the server app and the nodes until it has ended."""
    carrier = _Carrier(workspace, record.job_id, watch, question, program, pending)
    try:
        return await follow(workspace, workspace.folder.load(record.job_id), watch, advance=carrier.advance)
    except SealBroken as error:
        if error.code != "tag_differs":
            raise
        await _give_up(workspace, record, withheld := round_withheld())
        raise withheld from None
    except KapokError as error:
        if error.code in _NO_SUM or carrier.failed:
            await _give_up(workspace, record, error)
        raise


async def _give_up(workspace: Workspace, record: JobRecord, error: KapokError) -> None:
    """A round has one sum, and it cannot be used: nothing can come of the job any more."""
    workspace.folder.close(workspace.folder.load(record.job_id), "failed", error)
    with contextlib.suppress(KapokError):
        await workspace.connection.with_retries(lambda broker: broker.analyst.cancel(record.job_id))


class _Carrier:
    """Makes of each round's sum what the server app gets, and of its next instruction the next round."""

    def __init__(
        self,
        workspace: Workspace,
        job_id: str,
        listener: Callable[[Progress], None],
        question: Question,
        program: ServerProgram,
        pending: bytes,
    ) -> None:
        self._exchanges = Exchanges(workspace.folder.training_folder(job_id))
        self._job_id, self._listener, self._question = job_id, listener, question
        self._program, self._pending = program, pending
        self._nodes = self._exchanges.training().nodes
        self.failed = False

    def advance(self, opened: OpenedSum, _state: bytes | None) -> Next | History:
        """As `kapok.client.turns.Advance`."""
        from kapok.computations.registry import Next
        from kapok.flower.running import Ended, server_app_failed

        asked = messages.read(self._pending)
        mean = mean_of(self._question, opened.vector, trains=asked.trains)
        done = Exchange(
            number=opened.round,
            kind=asked.kind,
            asked=fingerprint(self._pending),
            holders=mean.holders,
            weight=mean.reply.weight,
            resolution=mean.resolution,
            metrics=dict(mean.reply.metrics),
            parties=tuple(member.name for member in opened.members),
        )
        reply = messages.write_reply(mean.reply, self._question.weight, kind=asked.kind)
        self._exchanges.keep(done, reply)
        told = _told(done, self._question.exchanges, self._nodes)
        self._listener(Progress(step="notice", text=told, job_id=self._job_id))
        self._program.answer(reply)
        following = self._program.next()
        if isinstance(following, Ended):
            if following.error is not None:
                self.failed = True
                raise server_app_failed(following.error) from following.error
            self._exchanges.save_model(following.arrays or mean.reply.arrays)
            return History(tuple(self._exchanges.done()))
        if opened.round >= self._question.exchanges:
            raise InvalidInput(
                f"the server app asks for more than the {self._question.exchanges} exchanges of its job",
                code="too_many_exchanges",
                remedy="say how many it needs: --exchanges N",
            )
        try:
            fitting(self._question, following)
        except KapokError:
            self.failed = True
            raise
        self._pending = following
        return Next(following, b"")


def _question(
    request: TrainingRequest, dataset: VerifiedDataset, bundle: Bundle, first: bytes, program: ServerProgram
) -> Question:
    """The question, from the first instruction: only then the model's shape is known."""
    asked, start = messages.read(first), program.start
    exchanges = request.exchanges or (start.exchanges if start else None)
    if exchanges is None:
        raise InvalidInput(
            "the app starts no strategy of Flower's, so it does not say how many exchanges it needs",
            code="exchanges_unknown",
            remedy="say at most how many: --exchanges N",
        )
    values = sum(array.size for array in asked.arrays.values())
    bits = request.word_bits or (64 if values <= _SMALL_MODEL else 32)
    bounds: dict[str, Any] = {"word_bits": bits} | (_WIDE if bits == 64 else _NARROW)
    bounds |= {name: value for name in _BOUNDS if (value := getattr(request, name)) is not None}
    columns = request.columns
    if columns is None:
        columns = tuple(column.name for column in dataset.schema.columns)
    try:
        shapes = tuple(
            ArrayShape(name, array.dtype.name, array.shape)  # type: ignore[arg-type]
            for name, array in asked.arrays.items()
        )
        question = Question(
            app=bundle.hash,
            columns=tuple(sorted(set(columns))),
            config=dict(request.config),
            arrays=shapes,
            exchanges=exchanges,
            weight=start.weight_key if start else "num-examples",
            clip_norm=request.clip_norm,
            **bounds,
        )
    except TypeError:
        raise InvalidInput("the model is not made of arrays of numbers", code="bad_training") from None
    found = Question.parse(question.text, dataset.schema)
    fitting(found, first)
    return found


def _check_config(bundle: Bundle, config: Mapping[str, ConfigValue]) -> None:
    if foreign := sorted(set(config) - set(bundle.config)):
        raise InvalidInput(
            f"the app's configuration has no {foreign[0]!r}",
            code="unknown_config_key",
            remedy="it has " + (", ".join(sorted(bundle.config)) or "none"),
        )


def _ended_early(ended: Any) -> KapokError:
    from kapok.flower.running import server_app_failed

    if ended.error is not None:
        return server_app_failed(ended.error)
    return InvalidInput(
        "the server app ended and asked the nodes for nothing", code="nothing_asked", remedy="see its code"
    )


def _about(question: Question, request: TrainingRequest) -> str:
    layout = question.layout
    return (
        f"app {question.app[:12]}: {question.values} values in {question.word_bits}-bit words, "
        f"seal {request.seal}, up to {question.exchanges} exchanges; values within "
        f"±{question.value_range:g}, {question.examples:g} examples at most, so the mean of n holders with N "
        f"examples is exact to n/N · {1 / (2 * layout.scale(integer=False)):.2g}"
    )


def _beside_the_model(instruction: bytes) -> str:
    """What each holder's approval must name before the app is told it; empty where there is nothing."""
    said = messages.read(instruction).said
    own = (messages.SERVER_ROUND, messages.PROXIMAL_MU)
    named = ", ".join(f"{plain(key)} = {value!r}" for key, value in sorted(said.items()) if key not in own)
    return named and (
        f"the server app says {named} beside the model: each holder's approval of the app must allow that "
        "(`messages`, --message)"
    )


def _told(done: Exchange, exchanges: int, nodes: int) -> str:
    said = ", ".join(
        f"{name} {value:.6g}" if isinstance(value, float) else f"{name} {[round(one, 6) for one in value]}"
        for name, value in sorted(done.metrics.items())
    )
    fewer = f" ({done.holders} of {nodes} nodes)" if done.holders < nodes else ""
    return f"exchange {done.number}/{exchanges} {done.kind}{fewer}: {said or 'no metrics'}"
