"""Queries: SELECT of counts, sums and averages with a filter, in groups of declared domains.

    analyst   Question.parse(sql, dataset)            the text is read into Kapok's own types and rebuilt
    holder    contribute(question, dataset, engine)   one SELECT on the holder's engine → words
    analyst   answer(question, dataset, sum of words) → Answer

Layout of the words, the same for every holder: group after group (the product of the declared domains, null
last), in each group measure after measure: for ``COUNT(*)`` [rows, flag], for a column [rows in which it is
known, flag] or, where its sum is asked, [rows in which it is known, sum, flag]. A flag of 0 says that the
holder shows the cell. Source: design page "Suppression happens inside the mask".
"""
