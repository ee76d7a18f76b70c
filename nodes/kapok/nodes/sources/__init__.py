"""The holder's table: read with the schema's types, checked as a whole, and given a version.

cells     the SQL that turns one cell into the schema's type, and that says what is wrong with it
spelling  what engines say differently, and must mean alike
engine    what the check and a question need of any engine
files     DuckDB over the files of the settings, closed to everything else
postgres  one relation of a database, behind the same walls; postgres_session, a connection that cannot hang
formats   how files of one format are read, and whether several agree
check     the whole table against the schema: what is named is column, number of rows, row numbers
version   which state of the table an answer was computed from, under a key that never leaves the node
table     all of it together
"""

from kapok.nodes.sources.check import Problem, TableReport
from kapok.nodes.sources.table import Reading, Table

__all__ = ["Problem", "Reading", "Table", "TableReport"]
