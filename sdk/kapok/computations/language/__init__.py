"""How a question is written: text to tree and back. Expressions are every kind's, a SELECT is a query's.

lexing, literals     text → tokens; numbers, days and spans of time to the last digit
grammar, clauses     tokens → `syntax`: expressions; the clauses of a SELECT around them
vocabulary, reserved which functions there are; which words are quoted where they are names
writing, naming      the tree's one canonical text; what the columns of an answer are called
hints                what is said of SQL that a question does not have
"""
