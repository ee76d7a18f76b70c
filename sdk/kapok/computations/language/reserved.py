"""Words that the canonical text writes in double quotes where they are names.

A fixed list, so that the canonical text, over which parties compute hashes, is the same whatever version of
the parser each of them has. It may name more words than a parser needs, never fewer: a test tries all that
the parser knows.
"""

from __future__ import annotations

from typing import Final

__all__ = ["REFUSED", "RESERVED"]

_WORDS: Final = """
all alter analyse analyze and any array as asc asymmetric at authorization avg begin between both by
call case cast check collate column commit connect_by_root constraint copy count create cross cube
current current_catalog current_date current_role current_schema current_time current_timestamp
current_user database declare default deferrable delete desc describe distinct do drop else end
escape except execute exists explain extract false fetch filter for foreign freeze from full glob
grant group grouping having if ilike in initially inner insert intersect interval into is isnull
join kill lateral leading left like limit localtime localtimestamp lock merge minus natural no not
notnull null offset on only or order out outer over overlaps partition partitioned_by pivot placing
pragma primary qualify range references regexp rename replace returning revoke right rlike rollback
rollup row rows schema select semi session_user set show similar some straight_join sum symmetric
table tablesample then to trailing transaction trigger true truncate try_cast uncache union unique
unknown unnest unpivot update use user using vacuum values variadic verbose view when where window
with within xor
"""

RESERVED: Final = frozenset(_WORDS.split())

REFUSED: Final = RESERVED - {"avg", "count", "sum"}
"""Words that cannot be names unless they are quoted."""
