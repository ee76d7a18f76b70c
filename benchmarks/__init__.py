"""Kapok's benchmarks: `python -m benchmarks --help`.

Every figure is measured beside the libraries that a user would take otherwise, in one process and in turn
(A, B, A, B, …), so that their ratios hold on a machine that does other things too. Operands are random and
fresh for each run; every contender's result is compared with exact integers before its time counts.

    cli        options, one process for each number of threads
    suites/    what is measured: core, paillier, secure_sum, federated, query
    peers/     the other libraries, each behind the same few verbs
    session    one pass over the suites;  keys  made new for each run;  errors
    own, rounds, memory, federation    Kapok's side: its Paillier, a round's roles, peak memory, exchanges of
               a training between processes;  parties  who plays them;  oracle  integers that check them
    measuring  contenders in turn;  spread  medians and quartiles;  records  what is written as JSON
    tables, plots, profiling, machine, quoted

By themselves, for they take minutes: `load` (one broker under a thousand nodes, which `actors` play) and
`large_table` (a node's own half, as tables grow).
"""
