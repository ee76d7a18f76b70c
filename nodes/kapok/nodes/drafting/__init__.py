"""A first schema from one holder's file: a starting point for people, never a schema by itself.

file      what kind of file it is, and how a node would be told to read it
facts     what the cells of each column are like, all of them, asked of the node's own engine
round     bounds widened to round numbers and decades
columns   from facts to a column of a schema, or to the reason why it is left out
writing   the commented TOML

Types are settled by the very conditions by which a node checks a table (`kapok.nodes.sources.cells`), so that
the file passes the check against its draft. A draft may be shown to others before anything is agreed on: it
tells no text that few rows have, no count of rows, and bounds in round numbers only.
"""

from kapok.nodes.drafting.draft import Draft, draft

__all__ = ["Draft", "draft"]
