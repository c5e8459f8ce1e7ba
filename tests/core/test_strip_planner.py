"""Which rows are scored next, as they come one by one."""

import numpy as np

from monitor.core.strip_planner import StripPlanner
from monitor.core.strips import Run

ROWS, HALO = 40, 2


class Rows:
    """A planner that rows come to from the top."""

    def __init__(self):
        self.planner = StripPlanner(ROWS, HALO)
        self.there = 0

    def come(self, count):
        self.there += count
        complete = np.arange(ROWS) < self.there
        self.planner.touch(self.there - count, self.there, complete, now_ns=1)

    def take(self, max_rows=4, **how):
        return self.planner.take(max_rows, **how)


def ends(run):
    return None if run is None else (run.row0, run.row1, run.stop)


def test_a_few_rows_wait_for_the_strip_above_them_where_they_cost_less_in_turn():
    rows = Rows()
    rows.come(4)
    assert ends(rows.take(in_turn=True)) == (0, 2, 4)
    rows.come(3)
    assert rows.take(in_turn=True) is None
    rows.planner.done(0, 2, now_ns=2)
    assert ends(rows.take(in_turn=True))[:2] == (2, 5)


def test_rows_enough_for_a_strip_of_their_own_do_not_wait():
    rows = Rows()
    rows.come(4)
    rows.take(in_turn=True)
    rows.come(4)
    assert ends(rows.take(in_turn=True)) == (2, 6, 6)


def test_nor_do_any_where_nothing_is_gained():
    rows = Rows()
    rows.come(4)
    rows.take()
    rows.come(1)
    assert ends(rows.take()) == (2, 3, 3)


def test_what_counts_is_the_run_that_would_be_taken():
    rows = Rows()
    rows.come(ROWS)
    while rows.take(8) is not None:
        pass
    rows.planner.touch(10, 11, np.ones(ROWS, bool), now_ns=1)
    rows.planner.touch(30, 31, np.ones(ROWS, bool), now_ns=1)
    assert rows.take(8, in_turn=True) is None
    assert ends(rows.take(8)) == (8, 13, 13)


def test_where_rows_had_to_wait_none_is_scored_provisionally():
    rows = Rows()
    rows.come(4)
    assert ends(rows.take(in_turn=True)) == (0, 2, 4)
    rows.come(1)
    rows.planner.done(0, 2, now_ns=2)
    assert rows.take(in_turn=True) == Run(row0=2, row1=3, stop=3, number=2)
    rows.planner.done(2, 3, now_ns=3)
    assert ends(rows.take(in_turn=True)) == (4, 4, 5), "row 3 was, before"
