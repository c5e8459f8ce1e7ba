"""The ledger of what has arrived, against a plain set."""

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.seqs import SeqLedger


@given(st.lists(st.integers(1, 60), min_size=1))
def test_gaps_are_what_a_set_would_say(seqs):
    ledger = SeqLedger()
    for seq in seqs:
        ledger.add(seq)
    missing = set(range(1, max(seqs) + 1)) - set(seqs)
    assert {seq for first, last in ledger.gaps for seq in range(first, last + 1)} == missing
    assert [seq in ledger for seq in range(1, 62)] == [seq in set(seqs) for seq in range(1, 62)]


def test_a_far_jump_costs_one_range():
    ledger = SeqLedger([1, 2**24])
    assert ledger.gaps == [(2, 2**24 - 1)]
