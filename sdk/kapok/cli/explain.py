"""`kapok explain`: what the holders would say to a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kapok.cli.asking import question_of
from kapok.cli.live import Live
from kapok.cli.options import Home, Json
from kapok.cli.query import AtLeast, Parties, QuestionArgument, QuestionFile, SealOption
from kapok.cli.terminal import as_document, print_json, print_table, say
from kapok.client.progress import short_name
from kapok.errors import plain

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from kapok.client.explaining import Explanation, Opinion
    from kapok.client.progress import Listener
    from kapok.client.session import AsyncSession

__all__ = ["explain", "show_explanation"]


def explain(
    sql: QuestionArgument = None,
    file: QuestionFile = None,
    seal: SealOption = None,
    at_least: AtLeast = None,
    party: Parties = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """Show what each holder would say to a question: allow or deny, the clause, and what would satisfy it.

    It spends nothing: the question is not asked, and no holder counts it.
    """
    question = question_of(sql, file)

    async def ask(session: AsyncSession, progress: Listener) -> Explanation:
        return await session.explain(
            question, seal=seal, at_least=at_least, parties=party or None, progress=progress
        )

    show_explanation(ask, home=home, json=json)


def show_explanation(
    ask: Callable[[AsyncSession, Listener], Awaitable[Explanation]], *, home: Path | None, json: bool
) -> None:
    """Show what the holders would say.

    Args:
        ask: Puts the question to them.
        home: The profile's folder.
        json: Whether it is shown as JSON.
    """
    import asyncio

    from kapok.client.session import connect_async

    async def asked(live: Live) -> Explanation:
        async with await connect_async(home) as session:
            return await ask(session, live)

    with Live(quiet=json) as live:
        found = asyncio.run(asked(live))
    if json:
        print_json(_document(found))
    else:
        _show(found)


def _document(found: Explanation) -> dict[str, Any]:
    return {
        "question": found.question,
        "in_words": found.in_words,
        "operations": list(found.operations),
        "columns": list(found.columns),
        "words": found.words,
        "allowed": found.allowed,
        "opinions": [
            {
                "node": one.node,
                "allowed": one.allowed,
                "approval": one.approval,
                "refusal": as_document(one.refusal) if one.refusal else None,
            }
            for one in found.opinions
        ],
        "silent": list(found.silent),
        "not_connected": list(found.not_connected),
    }


def _show(found: Explanation) -> None:
    say(plain(found.in_words))
    say(f"reads {', '.join(found.columns) or 'no column'}; does {', '.join(found.operations)}")
    rows = [(short_name(one.node), *_said(one)) for one in found.opinions]
    rows += [
        (short_name(node), "silent" if node not in found.not_connected else "not connected", "", "")
        for node in found.silent
    ]
    print_table(("holder", "would", "clause", "what would satisfy it"), rows)


def _said(opinion: Opinion) -> tuple[str, str, str]:
    refusal = opinion.refusal
    if refusal is None:
        return ("allow" if opinion.approval == "automatic" else "ask its officer", "", "")
    return (f"deny: {plain(refusal.message)}", refusal.clause or refusal.code, refusal.remedy or "")
