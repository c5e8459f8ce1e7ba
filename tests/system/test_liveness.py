"""The monitor never looks alive when it is not: what ends it, with which code, and what is said of it."""

import json
import signal
import socket
import subprocess
import time

import pytest

from tests.live import messages_of

LANES = {
    "receive": "monitor.service.Monitor._receive",
    "score": "monitor.io.score_lane.ScoreLane.run",
    "tick": "monitor.service.Monitor._tick",
    "rescan link": "monitor.io.rescan_link.RescanLink.run",
    "web": "monitor.io.web.WebServer.serve",
}
HANGS = """
import time
from monitor.io import scorer
scorer.Scorer.score = lambda self, strip: time.sleep(600)
"""
RAISES = """
from monitor.io import scorer
def score(self, strip):
    raise RuntimeError("the graph broke")
scorer.Scorer.score = score
"""
LEAVES = """
import asyncio, {module}
async def leave(self, *_, **__):
    await asyncio.sleep(2)
    {how}
{method} = leave
"""
LOOP_HANGS = """
import time
from monitor.core.desk import RescanDesk
calls = []
def expire(self, now_ns):
    calls.append(now_ns)
    if len(calls) > 30:
        time.sleep(600)
RescanDesk.expire = expire
"""
WORKS = """
from monitor.io import scorer
once = scorer.Scorer.score
def score(self, strip):
    while True:
        scores = once(self, strip)
scorer.Scorer.score = score
"""


def code_of(text):
    """A double as one expression, for `Service(before=...)`."""
    return f"exec({text!r})"


def at_work(service, sender, material):
    """Once there is a row to score and the scorer has taken it."""
    sender.send(*messages_of(material.image, "film"))
    service.until(lambda: service.ask("api/health")[1]["rows_waiting"] > 0, "a row to score")


def the_one(lines, event):
    (line,) = [line for line in lines if f"event='{event}" in line]
    return line


@pytest.mark.parametrize("lane", ["score", *(pytest.param(n, marks=pytest.mark.slow) for n in LANES if n != "score")])
def test_a_lane_that_returns_ends_the_process(lane, serve):
    module, _, _ = LANES[lane].rpartition(".")[0].rpartition(".")
    service, _ = serve(before=code_of(LEAVES.format(module=module, method=LANES[lane], how="return")))
    code, lines = service.ended()
    assert code == 1
    assert f"lane='{lane}'" in the_one(lines, "lane ended")
    assert lines[-1].startswith(f"eelswatch: the lane {lane} has ended by itself")
    assert "Traceback" not in "\n".join(lines)


@pytest.mark.parametrize("lane", ["receive", pytest.param("web", marks=pytest.mark.slow)])
def test_a_lane_that_raises_ends_the_process(lane, serve):
    module, _, _ = LANES[lane].rpartition(".")[0].rpartition(".")
    service, _ = serve(before=code_of(LEAVES.format(module=module, method=LANES[lane], how="raise OSError('gone')")))
    code, lines = service.ended()
    assert code == 1
    assert f"lane='{lane}' fault='OSError: gone'" in the_one(lines, "lane ended")
    assert lines[-1].startswith("eelswatch: OSError: gone")
    assert "Traceback" not in "\n".join(lines)


def test_a_scorer_that_raises_ends_the_process(serve, material):
    service, sender = serve(before=code_of(RAISES))
    sender.send(*messages_of(material.image, "film"))
    code, lines = service.ended()
    assert code == 1
    assert "lane='score' fault='RuntimeError: the graph broke'" in the_one(lines, "lane ended")


def test_a_scorer_that_hangs_ends_the_process_with_exit_3(serve, material, tmp_path):
    (tmp_path / "settings.toml").write_text("stuck_s = 2.0")
    service, sender = serve("--config", str(tmp_path / "settings.toml"), before=code_of(HANGS))
    sender.send(*messages_of(material.image, "film"))
    code, lines = service.ended()
    assert code == 3
    assert "lane='score'" in the_one(lines, "lane stuck")


def test_a_loop_that_hangs_ends_the_process_with_exit_3(serve, tmp_path):
    (tmp_path / "settings.toml").write_text("stuck_s = 2.0")
    service, _ = serve("--config", str(tmp_path / "settings.toml"), before=code_of(LOOP_HANGS))
    code, lines = service.ended()
    assert code == 3
    assert "lane='tick'" in the_one(lines, "lane stuck")


def test_nothing_to_do_for_longer_than_the_limit_is_no_fault(serve, material, tmp_path):
    (tmp_path / "settings.toml").write_text("stuck_s = 2.0")
    service, sender = serve("--config", str(tmp_path / "settings.toml"))
    with pytest.raises(subprocess.TimeoutExpired):
        service.process.wait(5)
    sender.send(*messages_of(material.image, "film"))
    assert service.closed("film")["state"] == "complete"
    assert service.stop() == 0


@pytest.mark.parametrize("double", [HANGS, WORKS], ids=["hangs", "works"])
def test_a_signal_ends_it_though_the_scorer_does_not_come_back(double, serve, material):
    service, sender = serve(before=code_of(double))
    at_work(service, sender, material)
    asked_s = time.monotonic()
    assert service.stop(signal.SIGTERM) == 0
    assert time.monotonic() - asked_s < 8


def test_a_lane_that_dies_while_the_scorer_hangs_ends_the_process(serve, material):
    dies = LEAVES.format(module="monitor.service", method=LANES["tick"], how="raise OSError('gone')")
    service, sender = serve(before=code_of(HANGS + dies))
    sender.send(*messages_of(material.image, "film"))
    code, lines = service.ended()
    assert code == 1
    assert "lane='tick'" in the_one(lines, "lane ended")
    assert lines[-1].startswith("eelswatch: OSError: gone")


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """A socket as systemd has it, and the environment that it gives."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "2000000")
        yield listening


def test_the_service_manager_hears_that_it_is_ready_alive_and_stopping(manager, serve):
    service, _ = serve()
    heard = [manager.recv(100) for _ in range(4)]
    assert set(heard) == {b"READY=1", b"WATCHDOG=1"}
    assert service.stop() == 0
    manager.settimeout(0.1)
    while heard[-1] != b"STOPPING=1":
        heard.append(manager.recv(100))
    assert heard.count(b"READY=1") == 1


def test_the_service_manager_hears_nothing_from_a_process_that_stands_still(manager, serve):
    service, _ = serve()
    while manager.recv(100) != b"WATCHDOG=1":
        pass
    service.process.send_signal(signal.SIGSTOP)
    manager.settimeout(2)
    with pytest.raises(TimeoutError):
        list(iter(lambda: manager.recv(100), b""))
    service.process.send_signal(signal.SIGCONT)
    assert manager.recv(100) == b"WATCHDOG=1"
    assert service.stop() == 0


def test_a_service_manager_that_is_not_there_is_said_once(serve, tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    service, _ = serve()
    assert service.stop() == 0
    (log,) = tmp_path.glob("serve-*.log")
    the_one(log.read_text().splitlines(), "service manager not told")


def test_json_logs_are_one_object_a_line(serve, material):
    service, sender = serve("--log", "json")
    sender.send(*messages_of(material.image, "film"))
    service.closed("film")
    events = [json.loads(line) for line in service.log().splitlines()]
    assert [event["event"] for event in events] == ["model loaded", "scan opened", "scan closed"]
    assert all({"timestamp", "level"} <= set(event) for event in events)
    assert events[1]["shape"] == [32, 32]


def test_metrics_tell_what_waits_and_what_room_there_is(serve, material):
    service, sender = serve()
    sender.send(*messages_of(material.image, "film"))
    service.closed("film")
    text = service.fetch("metrics")[1].decode()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(values["eelswatch_rows_waiting"]) == 0
    assert float(values["eelswatch_disk_free_bytes"]) > 0
    assert float(values['eelswatch_resends_total{state="asked"}']) == 0
    assert float(values['eelswatch_resends_total{state="answered"}']) == 0
    assert float(values["eelswatch_late_rows"]) >= 0
    p50, p99 = (float(values[f'eelswatch_score_latency_seconds{{quantile="{q}"}}']) for q in ("0.5", "0.99"))
    assert 0 < p50 <= p99
    health = service.ask("api/health")[1]
    assert health["messages_waiting"] is None, "a publisher's messages wait in ZeroMQ, which does not tell"
    assert health["resends"] == {"asked": 0, "answered": 0}
