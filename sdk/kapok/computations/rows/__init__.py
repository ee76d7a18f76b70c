"""What is computed of one row: typed terms with public bounds, and their SQL for each engine.

meaning                  expression → `terms.Term`: kind, bounds, scale
arithmetic, conditions, calendars, texts, maths    what each operator and function does to a term
operations               what a term is made of: Kapok's own operations on 64-bit integers
engine_terms, evaluation an engine's SQL for them; the same in NumPy
"""
