"""The rules of the house: what may be imported where, how long a file may be, what no file may do."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("monitor", "training", "export", "dashboard")
SOURCES = sorted(path for package in PACKAGES for path in (PROJECT / package).rglob("*.py"))
LONGEST_FILE = 300


def name_of(path):
    return path.relative_to(PROJECT).as_posix()


def loaded_after(code, packages):
    """Which of `packages` a fresh Python has loaded after running `code`."""
    tell = f"import sys; print(*[p for p in {sorted(packages)!r} if p in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{tell}"], cwd=PROJECT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


# imports

OUTSIDE_CORE = {"torch", "zmq", "onnxruntime", "fastapi", "starlette", "uvicorn", "bokeh", "h5py", "rsciio", "pydantic"}
LEARNING = {"torch", "onnx", "onnxscript"}
EVERY_CORE_MODULE = """
import importlib, pkgutil
import monitor.core
for module in pkgutil.walk_packages(monitor.core.__path__, "monitor.core."):
    importlib.import_module(module.name)
"""
EVERY_COMMAND = """
from importlib.metadata import entry_points
for entry in entry_points(group="eelswatch.commands"):
    assert callable(entry.load()), entry
"""
EVERY_PAGE = EVERY_COMMAND.replace("commands", "pages") + "import monitor.commands.serve, monitor.service"


def test_the_core_loads_nothing_that_touches_the_outside():
    assert loaded_after(EVERY_CORE_MODULE, OUTSIDE_CORE) == set()


def test_every_subcommand_is_there_before_torch_is():
    assert loaded_after(EVERY_COMMAND, LEARNING) == set()


def test_the_live_service_and_its_pages_load_without_torch():
    loaded = loaded_after(EVERY_PAGE, LEARNING | {"zmq", "training", "export"})
    assert loaded == {"zmq"}, "zmq is there to show that this test would see the others"


def test_importing_monitor_runs_nothing():
    assert (PROJECT / "monitor" / "__init__.py").read_bytes() == b""


# files


@pytest.mark.parametrize("folder", [*PACKAGES, "tests"])
def test_files_are_short(folder):
    kinds = (".py", ".js", ".css", ".html")
    files = [path for path in (PROJECT / folder).rglob("*") if path.suffix in kinds]
    assert files
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def unsafe_calls(tree):
    """What a module does that could run a stranger's code, as (line, what)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or ""
            names = {module.partition(".")[0]} | {a.name.partition(".")[0] for a in node.names}
            for name in names & {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}:
                yield node.lineno, name
        if isinstance(node, ast.Call):
            keywords = {k.arg: k.value for k in node.keywords}
            allowed = keywords.get("allow_pickle")
            if allowed is not None and not (isinstance(allowed, ast.Constant) and allowed.value is False):
                yield node.lineno, "allow_pickle"
            called = ast.unparse(node.func)
            careful = keywords.get("weights_only")
            if called == "torch.load" and not (isinstance(careful, ast.Constant) and careful.value is True):
                yield node.lineno, "torch.load without weights_only=True"
            if called in ("eval", "exec", "os.system", "yaml.load") or "shell" in keywords:
                yield node.lineno, called


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "np.load(f, allow_pickle=True)",
        "torch.load(f)",
        "torch.load(f, weights_only=False)",
        "eval('1')",
        "run('ls', shell=True)",
    ],
)
def test_unsafe_code_is_seen(code):
    assert list(unsafe_calls(ast.parse(code)))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_file_can_run_a_strangers_code(path):
    assert list(unsafe_calls(ast.parse(path.read_text(encoding="utf-8")))) == []


def test_nothing_is_bound_to_all_addresses_and_nothing_comes_from_elsewhere():
    static = [p for p in (PROJECT / "dashboard").rglob("*") if p.suffix in (".js", ".css", ".html")]
    assert static
    for path in SOURCES:
        assert not re.search(r"0\.0\.0\.0|tcp://\*", path.read_text(encoding="utf-8")), name_of(path)
    for path in static:
        assert not re.search(r"(https?:)?//[\w-]+\.\w", path.read_text(encoding="utf-8")), name_of(path)


def test_onnxruntime_is_asked_for_once_by_each_extra():
    extras = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asking = {name for name, packages in extras.items() if any(p.startswith("onnxruntime") for p in packages)}
    assert asking == {"cpu", "gpu"}


def test_constraints_pin_every_package_that_is_asked_for():
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    wanted += [package for extra in project["project"]["optional-dependencies"].values() for package in extra]
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    pinned = {re.sub(r"[-_.]+", "-", name).lower() for name in pins}
    assert {re.match(r"[\w.-]+", package)[0].lower() for package in wanted} <= pinned
    assert pins["torch"] == "2.13.0"
    assert not [pin for pin in pins.values() if "+" in pin], "a local version exists on one machine only"
