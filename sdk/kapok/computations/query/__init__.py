"""Queries: SELECT of all that sums of columns, squares and products can answer at once, and of quantiles.

    analyst   reading.read_question(sql, dataset)     the text is read into Kapok's own types and rebuilt
    holder    contribute(question, dataset, engine)   one SELECT on the holder's engine → words
    analyst   answer(question, dataset, sum of words) → Answer

From text to words, each room and step in types of its own:

    ../language  text → `syntax.Statement` and back: Kapok's own grammar and nothing else
    ../rows      expression of one row → `terms.Term` (kind, public bounds, exact scale) → SQL of an engine
    reading, parse, grouping, asking
                 what is grouped by, which `measures.Measure` holders compute for which `aggregates`
    build        one SELECT in the engine's dialect
    tables, disclosure/
                 the engine's counts, checked; which cells do not leave the holder
    answers/     what the analyst computes of groups and aggregates afterwards
    quantiles, intervals, search, tallies
                 further rounds, which search for medians and other quantiles
    describing   a question as a sentence for officers
    arrow        values of an answer as Arrow arrays

Layout of the words, the same for every holder: grouping after grouping (one without GROUP BY, several with
ROLLUP and its kin), in each group after group (the product of all values of what is grouped by, null last),
in each measure after measure: [rows in which it is known, sums that are asked, flag]. A flag of 0 says that
the holder shows the cell. Source: design page "Suppression happens inside the mask".
"""
