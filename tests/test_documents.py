"""The documents tell the truth: links, files, commands and options, settings, routes, metrics."""

import re
import shlex
import tomllib
from importlib.metadata import entry_points
from urllib.parse import unquote

import pytest
import typer
from starlette.routing import Match

from monitor import cli
from monitor.commands.serve import PAGES
from monitor.config import load_config
from monitor.core import views
from monitor.core.flagging import FlagRule
from monitor.core.session import Session
from monitor.core.version import Version
from monitor.core.wire import Limits
from monitor.io.guard import Rules
from monitor.io.http import create_app
from monitor.io.metrics import metrics_text
from tests.documents import DOCUMENTS, PROJECT, SERVICE, code_of, prose_of
from tests.doubles import MemoryShelf, fake_scores
from tests.streams import a_map, rows_of

COMMANDS = sorted(entry.name for entry in entry_points(group=cli.GROUP))

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(PROJECT).as_posix())


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
    optional = {name for name in fields if re.search(rf"^# {name} = ", shown, re.MULTILINE)}
    assert set(fields) - set(tomllib.loads(shown)) - optional == {"token"}
    assert all(fields[name].default is None for name in optional)
    (tmp_path / "all.toml").write_text(re.sub(r"^# (?!false_flags)", "", shown, flags=re.MULTILINE))
    assert load_config(tmp_path / "all.toml", {}).detector is not None
    assert configuration.rule == FlagRule.asked(fdr=None, false_flags=None)
    for name in set(fields) - {"model", "source", "token", "data", "fdr"}:
        assert getattr(configuration, name) == fields[name].default, name


def test_the_routes_shown_are_routes():
    pages = [entry.load()(None) for entry in entry_points(group=PAGES)]
    app = create_app(None, rules=Rules(token=None, loopback_only=True), pages=pages)  # no route asks for anything here
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
            messages_waiting=0,
            disk_free_bytes=1,
        )

    def scans(self):
        return [self._scan.view()]


def test_the_metrics_shown_are_the_metrics():
    shelf = MemoryShelf()
    session = Session(shelf=shelf, version=Version(), limits=Limits(), stall_s=30.0)
    for frames in rows_of(a_map())[:4]:
        list(session.receive(frames, now_ns=1))
    scan = shelf.find("s")
    while (strip := scan.next_strip(10)) is not None:
        scan.put(strip, fake_scores(strip), version=1, now_ns=1)
    lines = metrics_text(Seen(scan)).decode().splitlines()
    made = {re.split(r"[ {]", line)[0] for line in lines if line.startswith("eelswatch_")}
    shown = re.findall(r"^\| `(eelswatch_\w+)", SERVICE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(shown) == sorted(name for name in made if not name.endswith("_created"))
