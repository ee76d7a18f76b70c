"""The demonstration: the main job end to end, with real processes on one machine, over public data.

story, telling       what happens, in which order; how it is told
scenario, hospitals  who plays; the four hospitals and what they agree to
network, processes   the parties as processes, from their enrolment to their end
pooled, comparison   the truth over all files; an answer beside it
ledger, witness      what each process held and saw; a look into the broker's database meanwhile
"""
