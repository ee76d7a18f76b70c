import pytest

from kapok.broker.settings import BrokerSettings, Limits
from kapok.documents.statements import MOST_DEADLINE_S
from kapok.errors import InvalidInput


@pytest.mark.parametrize("seconds", [0, -1, MOST_DEADLINE_S + 1])
def test_a_deadline_that_no_node_takes_is_not_offered(seconds):
    assert Limits(deadline_s_max=MOST_DEADLINE_S) == Limits()
    with pytest.raises(InvalidInput) as caught:
        Limits(deadline_s_max=seconds)
    assert caught.value.code == "bad_settings"


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_a_time_to_stop_in_that_is_no_time_is_refused(seconds):
    assert BrokerSettings(drain_s=0).drain_s == 0
    with pytest.raises(InvalidInput) as caught:
        BrokerSettings(drain_s=seconds)
    assert caught.value.code == "bad_settings"


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_bound_that_is_no_number_above_0_is_refused(seconds):
    with pytest.raises(InvalidInput) as caught:
        Limits(seal_grace_s=seconds)
    assert caught.value.code == "bad_settings"
