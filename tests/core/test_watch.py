"""Which lanes are stuck, told by a clock that the tests move by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.watch import SECOND_NS, Stuck, Watch

LIMIT_S = 60


def seconds(number):
    return int(number * SECOND_NS)


def checked(watch, start_s, stop_s, step_s=1):
    """What the checks find from `start_s` on, one each `step_s`, up to the first find; None where there is none."""
    now_s = start_s
    while now_s <= stop_s:
        if stuck := watch.check(seconds(now_s)):
            return now_s, stuck
        now_s += step_s
    return None


def test_a_lane_that_has_work_and_gives_no_sign_is_stuck_just_after_the_limit():
    watch = Watch(limit_s=LIMIT_S)
    watch.alive("score", now_ns=seconds(5))
    assert checked(watch, 0, 200) == (66, [Stuck(lane="score", silent_s=61.0)])


def test_a_lane_that_was_never_heard_of_has_nothing_to_do():
    assert checked(Watch(limit_s=LIMIT_S), 0, 1000) is None


def test_a_lane_at_rest_is_not_stuck_however_long_nothing_comes():
    watch = Watch(limit_s=LIMIT_S)
    watch.alive("receive", now_ns=0)
    watch.rest("receive")
    assert checked(watch, 0, 10 * LIMIT_S) is None


def test_a_sign_of_one_lane_is_none_of_another():
    watch = Watch(limit_s=LIMIT_S)
    watch.alive("score", now_ns=0)
    for now_s in range(62):
        watch.alive("tick", now_ns=seconds(now_s))
        stuck = watch.check(seconds(now_s))
    assert [each.lane for each in stuck] == ["score"]


def test_the_longest_silent_comes_first():
    watch = Watch(limit_s=LIMIT_S)
    assert checked(watch, 0, 10) is None
    watch.alive("tick", now_ns=seconds(10))
    watch.alive("score", now_ns=seconds(9))
    assert checked(watch, 11, 69) is None
    assert [each.lane for each in watch.check(seconds(80))] == ["score", "tick"]


def test_a_process_that_was_stopped_as_a_whole_is_not_stuck():
    watch = Watch(limit_s=LIMIT_S)
    watch.alive("tick", now_ns=0)
    assert checked(watch, 0, 10) is None
    assert watch.check(seconds(3600)) == []
    watch.alive("tick", now_ns=seconds(3601))
    assert checked(watch, 3601, 3660) is None
    assert watch.check(seconds(3662)) != []


def test_once_the_service_is_stopping_only_its_end_is_awaited():
    watch = Watch(limit_s=LIMIT_S)
    watch.alive("score", now_ns=0)
    assert checked(watch, 0, 58) is None
    watch.stopping(now_ns=seconds(58))
    watch.alive("tick", now_ns=seconds(58))
    assert checked(watch, 59, 200) == (119, [Stuck(lane="stop", silent_s=61.0)])


@given(pauses_s=st.lists(st.floats(0, LIMIT_S), max_size=50))
def test_a_lane_that_gives_a_sign_within_the_limit_is_never_stuck(pauses_s):
    watch, now_s = Watch(limit_s=LIMIT_S), 0.0
    for pause_s in pauses_s:
        watch.alive("score", now_ns=seconds(now_s))
        assert checked(watch, now_s, now_s + pause_s) is None
        now_s += pause_s


@given(sign_s=st.floats(0, 1000), step_s=st.floats(0.5, LIMIT_S / 4))
def test_a_silent_lane_is_found_one_check_after_the_limit_at_the_latest(sign_s, step_s):
    watch = Watch(limit_s=LIMIT_S)
    watch.check(seconds(sign_s))
    watch.alive("score", now_ns=seconds(sign_s))
    found_s, stuck = checked(watch, sign_s, sign_s + 2 * LIMIT_S, step_s)
    assert found_s - sign_s == pytest.approx(stuck[0].silent_s, abs=1e-6)
    assert LIMIT_S < stuck[0].silent_s <= LIMIT_S + step_s + 1e-6
