"""Draw the state diagrams of docs/data-model.md from the transition tables that the code runs on.

python tests/tools/state_diagrams.py            write them into the page
python tests/tools/state_diagrams.py --check    fail if the page says anything else, or lists other tables
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from kapok.broker.computation import states as broker_states
from kapok.broker.store.schema import Base
from kapok.nodes import states as node_states
from kapok.nodes.journal import tables as journal_tables

PAGE = Path(__file__).parents[2] / "docs" / "data-model.md"


def diagram(transitions: Mapping[tuple[StrEnum, StrEnum], StrEnum], first: StrEnum) -> str:
    """A Mermaid state diagram of one literal table."""
    sources = {state for state, _ in transitions}
    finals = sorted({state for state in transitions.values() if state not in sources})
    lines = ["stateDiagram-v2", f"    [*] --> {first}"]
    lines += [f"    {source} --> {target}: {event}" for (source, event), target in transitions.items()]
    lines += [f"    {final} --> [*]" for final in finals]
    return "\n".join(["```mermaid", *lines, "```"])


DIAGRAMS = {
    "broker job": diagram(broker_states.TRANSITIONS, broker_states.FIRST_JOB_STATE),
    "broker attempt": diagram(broker_states.ATTEMPT_TRANSITIONS, broker_states.FIRST_ATTEMPT_STATE),
    "node job": diagram(node_states.TRANSITIONS, node_states.NodeJobState.OFFERED),
}


STORED = {"Broker": Base.metadata, "Node": journal_tables.metadata}


def differences(page: str) -> list[str]:
    """What a section of the page says of stored tables and the schema does not, or the other way about."""
    found = []
    for section, metadata in STORED.items():
        text = page.split(f"\n## {section}\n")[1].split("\n## ")[0]
        for name in sorted(set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) ^ set(metadata.tables)):
            where = "is not stored" if name not in metadata.tables else "is not on the page"
            found.append(f"docs/data-model.md, {section}: the table {name} {where}\n")
    return found


def drawn(page: str) -> str:
    """The page with every diagram between its marks drawn anew."""
    for name, text in DIAGRAMS.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        head, rest = page.split(begin)
        page = f"{head}{begin}\n{text}\n{end}{rest.split(end, 1)[1]}"
    return page


def main() -> int:
    """Write or check the page."""
    page = PAGE.read_text(encoding="utf-8")
    fresh = drawn(page)
    if "--check" in sys.argv[1:]:
        wrong = differences(page)
        if fresh != page:
            wrong.append("docs/data-model.md does not show the transition tables: run `make gen`\n")
        sys.stderr.write("".join(wrong))
        return 1 if wrong else 0
    PAGE.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
