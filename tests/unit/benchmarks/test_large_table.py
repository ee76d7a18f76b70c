"""The large table in small: what is generated passes the check, and is answered as DuckDB answers it."""

from benchmarks import large_table


def test_a_generated_table_is_read_and_answered_exactly(tmp_path):
    large_table.write(tmp_path, 5000)
    found = large_table.ask(tmp_path)
    assert found["rows"] == 5000
    assert found["answer"] == large_table.expected(tmp_path)
    assert len(found["answer"]) == len(large_table.CARRIERS)
