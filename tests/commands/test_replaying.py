"""`replay` of what the monitor has recorded: the same counts on the same wire, and a line for what is no scan."""

import json
import subprocess
import sys

import numpy as np
import pytest
import zmq

from monitor.commands.demo import free_port
from monitor.core.flagging import FlagRule
from monitor.core.session import Session
from monitor.core.version import Version
from monitor.core.wire import Limits
from monitor.io.archive import Archive
from tests import streams
from tests.doubles import a_card
from tests.live import command

COUNTS = streams.a_map(dtype="<u4") + np.uint32(2**30 + 1)
"""Beyond what a float32 holds exactly."""


@pytest.fixture
def data(tmp_path):
    """A data folder with one scan of 6 x 5 pixels, whose row 2 was lost."""
    archive = Archive(tmp_path, card=a_card(), rule=FlagRule(fdr=0.05))
    archive.open()
    session = Session(shelf=archive, version=Version(), limits=Limits(), stall_s=30.0)
    messages = [streams.start(dtype="<u4", counts_per_electron=2.5, dwell_us=100.0, beam_kev=200.0, title="film")]
    messages += [streams.block(COUNTS[row : row + 1], (row, 0), row + 1) for row in range(6) if row != 2]
    for message in messages:
        list(session.receive(message, now_ns=0))
    archive.save(session.find("s"))
    archive.close()
    return tmp_path


def test_a_recorded_scan_is_sent_as_it_came_and_what_was_missing_is_not_sent(data):
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    context = zmq.Context()
    pull = context.socket(zmq.PULL)
    pull.connect(endpoint)
    words = [sys.executable, "-m", "monitor", "replay", data / "scans" / "000001", "--bind", endpoint]
    replay = subprocess.Popen([str(word) for word in [*words, "--mode", "push", "--scan", "again", "--quiet"]])
    try:
        start, *blocks, end = _all_messages(pull)
    finally:
        replay.wait(30)
        context.destroy(linger=0)
    header = json.loads(start[0])
    known = {name: header[name] for name in ("scan", "dtype", "title", "dwell_us", "beam_kev", "counts_per_electron")}
    assert known == {
        "scan": "again",
        "dtype": "<u4",
        "title": "film",
        "dwell_us": 100.0,
        "beam_kev": 200.0,
        "counts_per_electron": 2.5,
    }
    assert header["energy"] == streams.ENERGY
    assert [json.loads(frames[0])["origin"] for frames in blocks] == [[row, 0] for row in (0, 1, 3, 4, 5)]
    assert np.array_equal(np.frombuffer(blocks[2][1], "<u4").reshape(5, 40), COUNTS[3])
    assert json.loads(end[0])["reason"] == "complete"


def _all_messages(pull):
    messages = []
    while not messages or json.loads(messages[-1][0])["type"] != "scan_end":
        assert pull.poll(60_000)
        messages.append(pull.recv_multipart())
    return messages


def test_a_data_folder_in_place_of_a_scan_names_one(data):
    done = command("replay", data, "--bind", "tcp://127.0.0.1:*")
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert "holds 1 recorded scans; give the folder of one, such as" in line
    assert "000001" in line
