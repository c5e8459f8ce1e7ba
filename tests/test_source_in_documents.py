"""The source in docs/sources.md is run as its readers get it."""

import ast
import asyncio

import numpy as np
import pytest

from monitor.config import load_config
from monitor.core.errors import UsageError, WireError
from monitor.core.session import Session
from monitor.core.version import Version
from monitor.core.wire import Limits
from tests.documents import SOURCES, code_of
from tests.doubles import MemoryShelf

SETTINGS = {"model": "m.onnx", "source": "rows://", "energy_offset_ev": 420.0, "energy_step_ev": 0.8}
CODE = next(code for code in code_of(SOURCES, "python") if "class RowFolder" in code)


def source_of(folder, **settings):
    space = {}
    exec(compile(CODE, str(SOURCES), "exec"), space)
    return space["RowFolder"](f"rows://{folder}", load_config(None, SETTINGS | settings))


def received(source, messages):
    """The session after so many messages of the source."""
    session = Session(shelf=MemoryShelf(), version=Version(), limits=Limits(), stall_s=30.0)

    async def run():
        for _ in range(messages):
            try:
                list(session.receive(await asyncio.wait_for(source.receive(), 10.0), now_ns=0))
            except WireError as fault:
                session.refuse(fault)

    asyncio.run(run())
    return session


def test_the_source_shown_is_about_as_short_as_promised_and_has_what_the_protocol_asks():
    code = [line for line in CODE.splitlines() if line.strip()]
    assert len(code) <= 50
    (shown,) = [node for node in ast.parse(CODE).body if isinstance(node, ast.ClassDef)]
    assert {node.name for node in shown.body} == {"__init__", "open", "settle", "receive", "close"}


def test_the_source_shown_makes_a_scan_of_the_files_of_a_folder(tmp_path):
    counts = np.random.default_rng(0).poisson(50, (3, 4, 500)).astype("<u2")
    for row in range(3):
        np.save(tmp_path / f"{row:04d}.npy", counts[row])
    source = source_of(tmp_path, scan_rows=3, scan_columns=4)
    session = received(source, 5)
    scan = session.find(source.scan)
    assert np.array_equal(scan.assembly.arrays.counts, counts)
    assert scan.ended.reason == "complete"
    assert not session.wire_errors


def test_a_file_that_does_not_fit_costs_its_row_alone(tmp_path):
    for row in range(3):
        np.save(tmp_path / f"{row:04d}.npy", np.ones((4, 499 if row == 1 else 500), "<u2"))
    source = source_of(tmp_path, scan_rows=3, scan_columns=4)
    scan = received(source, 5).find(source.scan)
    assert dict(scan.wire_errors) == {"file": 1}
    assert scan.assembly.received_per_row.tolist() == [4, 0, 4]


def test_the_source_shown_says_what_it_lacks(tmp_path):
    with pytest.raises(UsageError, match="give --scan-rows and --scan-columns"):
        source_of(tmp_path)
