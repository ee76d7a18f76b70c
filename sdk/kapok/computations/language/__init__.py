"""How a question is written: text to tree and back. Expressions are every kind's, a SELECT is a query's."""
