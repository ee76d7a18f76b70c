"""One question for each reason that a node has to refuse one: (changes of the rule, of the question)."""

from kapok.documents.statements import ResultKey

COUNT = "SELECT COUNT(*) FROM clinic"
A = "spiffe://kapok.test/org/a/node/main"

BY_POLICY = {
    "not_authorised": ({"analysts": ("spiffe://kapok.test/org/other/analyst/*",)}, {}),
    "dataset": ({"dataset": "other"}, {}),
    "column_not_allowed": ({"columns": ("sex",)}, {"sql": "SELECT COUNT(*) FROM clinic WHERE age > 40"}),
    "operation_not_allowed": ({"operations": ("count",)}, {"sql": "SELECT SUM(age) FROM clinic"}),
    "function_not_allowed": ({"functions": ("round",)}, {"sql": "SELECT SUM(ABS(age)) FROM clinic"}),
    "seal_not_allowed": ({"seals": ("paillier",)}, {}),
    "too_few_parties": ({"min_parties": 4}, {"names": "abc"}),
    "party_not_accepted": ({"members": ("spiffe://kapok.test/org/a/node/*",)}, {}),
    "party_required": ({"required_members": {"spiffe://kapok.test/org/e/node/main": ""}}, {}),
    "too_many_rounds": (
        {"operations": ("quantile",), "rounds": 3},
        {"sql": "SELECT MEDIAN(age) FROM clinic"},
    ),
    "budget_exhausted": ({"questions": 0}, {}),
    "day_budget_exhausted": ({"questions_per_day": 0}, {}),
    "outside_hours": ({"hours": ("sun 00:00-00:01",)}, {}),
}
BY_SPECIFICATION = {
    "unknown_suite": {"suite": "kapok-sum-0"},
    "unknown_computation": {"computation": "divination"},
    "dataset_not_joined": {"dataset": "0" * 64},
    "layout_differs": {"words": 7},
    "bad_specification": {"nonce": b"short"},
    "rounds_differ": {"rounds": 2},
    "question_not_canonical": {"question": "select count(*) from clinic"},
    "unknown_column": {"question": "SELECT SUM(weight) AS s FROM clinic"},
    "bad_tag_seed": {"tag_seeds": {}},
    "bad_members": {"members": (A, A)},
    "not_a_member": {
        "members": ("spiffe://kapok.test/org/x/node/main",),
        "tag_seeds": {"spiffe://kapok.test/org/x/node/main": b""},
    },
    "bad_terms": {"at_least": 5},
    "bad_result_key": {"seal": "paillier", "result_key": ResultKey(b"\x0f" * 256, b"\x02", "standard")},
    "bad_wrap_key": {"receiver_key": b"\0" * 1216},
    "deadline_passed": {"deadline": 1},
    "deadline_too_far": {"deadline": 10**13},
}
