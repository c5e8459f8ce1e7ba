"""The documents tell the truth: links, commands, options, settings, routes, metrics, and the sender in sources.md."""

import json
import re
import shlex
import time
import tomllib
from contextlib import closing
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import typer
import zmq
from starlette.routing import Match

from monitor import cli
from monitor.commands.demo import free_port
from monitor.commands.serve import PAGES
from monitor.config import load_config
from monitor.core import views
from monitor.core.messages import ResendRequest
from monitor.core.session import ResendWanted, Session
from monitor.core.version import Version
from monitor.core.wire import Limits, decode_resend_end, encode
from monitor.io.guard import Guard
from monitor.io.http import create_app
from monitor.io.metrics import metrics_text
from tests.doubles import MemoryShelf, fake_scores
from tests.streams import a_map, rows_of

PROJECT = Path(__file__).resolve().parents[1]
DOCUMENTS = [PROJECT / "README.md", PROJECT / "CHANGELOG.md", *sorted((PROJECT / "docs").rglob("*.md"))]
SERVICE, SOURCES = PROJECT / "docs" / "service.md", PROJECT / "docs" / "sources.md"
COMMANDS = sorted(entry.name for entry in entry_points(group=cli.GROUP))
CODE_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
S = 1_000_000_000

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(PROJECT).as_posix())


def code_of(path, *languages):
    """The code blocks of a document in one of `languages`."""
    return [code for language, code in CODE_BLOCK.findall(path.read_text(encoding="utf-8")) if language in languages]


def prose_of(path):
    return CODE_BLOCK.sub("", path.read_text(encoding="utf-8"))


def anchors_of(path):
    headings = re.findall(r"^#+ (.*)$", prose_of(path), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings]


@each_document
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose_of(path)):
        file, _, fragment = link.partition("#")
        target = (path.parent / unquote(file)).resolve() if file else path
        assert target.exists(), link
        assert not fragment or fragment in anchors_of(target), link


@each_document
def test_files_that_a_document_names_are_there(path):
    folders = {"": PROJECT} | dict.fromkeys(("monitor", "training", "export", "dashboard", "tests"), PROJECT)
    folders |= dict.fromkeys(("core", "io", "files", "sim", "commands"), PROJECT / "monitor")
    for named in re.findall(r"`([\w/]+/\w+\.py)`", prose_of(path)):
        folder = folders.get(named.partition("/")[0], PROJECT)
        assert (folder / named).is_file(), named


def command_lines(path):
    """Calls of eelswatch in a document, each a list of words from the subcommand on."""
    lines = "\n".join(code_of(path, "sh", "powershell", "ini")).splitlines()
    lines += re.findall(r"`(eelswatch [^`\n]+)`", prose_of(path))
    for line in lines:
        call = re.search(r"(?:^|[=/])eelswatch ([a-z].*)", line)
        if call is not None and not call[1].startswith("ready "):  # the line that serve prints
            yield shlex.split(call[1], comments=True)


def options_of(command):
    known = typer.main.get_command(cli._application([command])).commands[command]
    return {option for parameter in known.params for option in (*parameter.opts, *parameter.secondary_opts)}


@each_document
def test_commands_in_documents_exist_with_their_options(path):
    for command, *words in command_lines(path):
        assert command in COMMANDS
        options = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert options <= options_of(command), command


def test_the_readme_shows_the_commands_of_an_ordinary_day_and_this_test_sees_them():
    shown = {command: words for command, *words in command_lines(PROJECT / "README.md")}
    assert set(shown) >= {"inspect", "train", "export", "score", "serve", "replay", "simulate", "bench", "demo"}
    assert "--model" in shown["serve"]
    assert "--bind" in shown["replay"]
    assert "--bind" in options_of("replay") - options_of("serve")


def test_make_has_the_targets_that_documents_name():
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    texts = [path.read_text(encoding="utf-8") for path in [*DOCUMENTS, PROJECT / ".ci" / "run"]]
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)(?=`|\s|$)", "\n".join(texts), re.MULTILINE))
    assert {"demo", "test", "lint", "setup"} <= named <= targets


def test_the_configuration_shown_holds_every_setting_at_its_default(tmp_path):
    (shown,) = code_of(SERVICE, "toml")
    (tmp_path / "eelswatch.toml").write_text(shown)
    configuration = load_config(tmp_path / "eelswatch.toml", {})
    fields = type(configuration).model_fields
    assert set(fields) - set(tomllib.loads(shown)) == {"token"}
    for name in set(fields) - {"model", "source", "token", "data"}:
        assert getattr(configuration, name) == fields[name].default, name


def test_the_routes_shown_are_routes():
    pages = [entry.load()(None) for entry in entry_points(group=PAGES)]
    app = create_app(None, guard=Guard(None, loopback_only=True), pages=pages)  # no route asks for anything here
    shown = re.findall(r"^\| `(GET|POST|PUT|WS) (/[^`]*)`", SERVICE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(shown) > 10
    for method, path in [*shown, ("GET", "/api/nothing"), ("PUT", "/api/scans")]:
        scope = {"type": "websocket" if method == "WS" else "http", "path": path, "headers": [], "method": method}
        there = any(route.matches(scope)[0] is Match.FULL for route in app.routes)
        assert there == ((method, path) in shown), (method, path)


class Seen:
    """A live state as /metrics sees it: one scan, one refused message of no scan."""

    def __init__(self, scan):
        self._scan = scan

    def health(self):
        return views.HealthView(
            status="ok",
            notices=[],
            version="0",
            model="m",
            source="s",
            provider="CPU",
            instrument=None,
            data_age_s=1.0,
            rate_spectra_per_s=1.0,
            fdr=0.01,
            wire_errors=views.WireErrorCounts(total=1, kinds={"json": 1}),
            stray=0,
        )

    def scans(self):
        return [self._scan.view()]


def test_the_metrics_shown_are_the_metrics():
    shelf = MemoryShelf()
    session = Session(shelf=shelf, version=Version(), limits=Limits(), stall_s=30.0)
    list(session.receive(rows_of(a_map())[0], now_ns=0))
    lines = metrics_text(Seen(shelf.find("s"))).decode().splitlines()
    made = {re.split(r"[ {]", line)[0] for line in lines if not line.startswith("#")}
    shown = re.findall(r"^\| `(eelswatch_\w+)", SERVICE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(shown) == sorted(name for name in made if not name.endswith("_created"))


@pytest.fixture
def sender():
    """The sender of docs/sources.md, as its readers get it, at free ports."""
    space = {"__name__": "sender"}
    exec(compile(code_of(SOURCES, "python")[0], str(SOURCES), "exec"), space)
    made = space["Sender"](*(f"tcp://127.0.0.1:{free_port()}" for _ in range(2)))
    yield made
    made.context.destroy(linger=0)


class Monitor:
    """A session behind real sockets that loses the messages whose seq is in `lose`; its clock goes as it is told."""

    def __init__(self, sender):
        self.session = Session(shelf=MemoryShelf(), version=Version(), limits=Limits(), stall_s=30.0)
        self.lose, self.seconds, self.answers = (), 0, 0
        self._sender, self._context = sender, zmq.Context()
        self._stream, self._resend = self._context.socket(zmq.SUB), self._context.socket(zmq.DEALER)
        self._stream.subscribe(b"")
        self._stream.connect(sender.stream.last_endpoint.decode())
        self._resend.connect(sender.resend)

    def close(self):
        self._context.destroy(linger=0)

    def until(self, done):
        """Take what comes while the sender attends to its requests; fails where `done` stays false."""
        deadline_s = time.monotonic() + 20.0
        while not done():
            assert time.monotonic() < deadline_s
            self._sender.attend(0.02)
            while self._stream.poll(0):
                frames = self._stream.recv_multipart()
                if json.loads(frames[0])["seq"] not in self.lose:
                    self._take(frames)
            while self._resend.poll(0):
                frames = self._resend.recv_multipart()
                if decode_resend_end(frames) is None:
                    self._take(frames)
                else:
                    self.answers += 1
                    self.session.resend_answered("s", now_ns=self.seconds * S)

    def let_pass(self, seconds):
        """Time passes; what is due is asked for. Gives the ranges asked for."""
        wanted = []
        for _ in range(seconds):
            self.seconds += 1
            wanted += [e for e in self.session.tick(self.seconds * S) if isinstance(e, ResendWanted)]
        for event in wanted:
            assert event.endpoint == self._sender.resend
            self._resend.send_multipart(encode(ResendRequest(scan=event.scan, ranges=event.ranges)))
        return [event.ranges for event in wanted]

    def _take(self, frames):
        list(self.session.receive(frames, now_ns=self.seconds * S))
        for scan in self.session.active:
            while (strip := scan.next_strip(10)) is not None:
                scan.put(strip, fake_scores(strip), version=1, now_ns=self.seconds * S)

    def holds(self, counts):
        """True once the scan is complete and has these counts; nothing that came may have been refused."""
        scan = self.session.find("s")
        assert not self.session.wire_errors
        assert not scan.wire_errors
        return scan.record.state == "complete" and np.array_equal(scan.assembly.arrays.counts, counts)


@pytest.fixture
def monitor(sender):
    made = Monitor(sender)
    yield made
    made.close()


def begin(sender, counts):
    sender.start("s", counts.shape[:2], {"offset_ev": 420.0, "step_ev": 10.0, "size": 40}, title="test")


def test_the_sender_shown_resends_what_a_monitor_lost(sender, monitor):
    counts = a_map((12, 5))
    begin(sender, counts)
    monitor.until(lambda: monitor.session.active)
    monitor.lose = (3, 4, 9)
    for row in range(12):
        sender.block(counts[row : row + 1], row)
        sender.attend()
    sender.end()
    monitor.until(lambda: monitor.session.find("s").ended is not None)
    monitor.let_pass(1)
    assert monitor.let_pass(1) == [[(3, 4), (9, 9)]]
    monitor.until(lambda: monitor.answers)
    assert monitor.let_pass(1) == []
    assert monitor.holds(counts)


def test_the_sender_shown_resends_all_to_a_monitor_that_comes_when_all_is_over(sender):
    counts = a_map((6, 5))
    begin(sender, counts)
    for row in range(6):
        sender.block(counts[row : row + 1], row)
    sender.end()
    with closing(Monitor(sender)) as monitor:
        monitor.until(lambda: monitor.session.active)
        assert monitor.let_pass(2) == [[(1, None)]]
        monitor.until(lambda: monitor.answers)
        monitor.let_pass(1)
        assert monitor.holds(counts)


def test_the_blocks_shown_for_serpentine_and_partial_rows_land_where_they_belong(sender, monitor):
    counts = a_map((12, 48))
    visited = counts.copy()
    visited[7] = counts[7, ::-1]
    begin(sender, counts)
    monitor.until(lambda: monitor.session.active)
    exec(compile(code_of(SOURCES, "python")[1], str(SOURCES), "exec"), {"sender": sender, "counts": visited})
    sender.end()
    monitor.until(lambda: monitor.session.find("s").ended is not None)
    arrays = monitor.session.find("s").assembly.arrays
    expected = np.zeros((12, 48), bool)
    expected[6, 32:] = expected[7:] = True
    assert np.array_equal(arrays.pixel_seq > 0, expected)
    assert np.array_equal(arrays.counts[expected], counts[expected])
