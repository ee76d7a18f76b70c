"""The holder's table: read with the schema's types, checked as a whole, and given a version.

cells     the SQL that turns one cell into the schema's type, and that says what is wrong with it
engine    DuckDB over one file, closed to everything else
check     the whole table against the schema: what is named is column, number of rows, row numbers
version   which state of the table an answer was computed from, under a key that never leaves the node
table     the four together
"""

from kapok.nodes.sources.check import Problem, TableReport
from kapok.nodes.sources.table import Reading, Table

__all__ = ["Problem", "Reading", "Table", "TableReport"]
