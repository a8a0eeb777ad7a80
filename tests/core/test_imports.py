"""The core stands alone: ComfyUI ships neither diffusers nor peft nor accelerate. Nothing in it
runs foreign code."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "bgdefect_core"
SOURCES = sorted(CORE.rglob("*.py"))
TRAINING = {"diffusers", "peft", "accelerate", "transformers"}
FORBIDDEN = {
    *TRAINING,
    *("comfy", "comfy_extras", "comfy_api", "folder_paths", "nodes", "trainer", "bgdefect_trainer"),
    *("pickle", "dill", "marshal", "shelve"),
}

LOADER = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
guilty = {}
for name in ["bgdefect_core", *sys.argv[3:]]:
    before = set(sys.modules)
    importlib.import_module(name)
    foreign = {m.split(".")[0] for m in set(sys.modules) - before} & set(json.loads(sys.argv[2]))
    if foreign:
        guilty[name] = sorted(foreign)
print(json.dumps(guilty))
"""


def test_importing_the_core_loads_no_host_and_no_training_library() -> None:
    unwanted = json.dumps(
        sorted(FORBIDDEN - {"pickle", "marshal", "shelve"})
    )  # torch itself loads these
    modules = [
        ".".join(source.relative_to(CORE.parent).with_suffix("").parts)
        for source in SOURCES
        if source.stem != "__init__"
    ]
    assert len(modules) > 15
    command = [sys.executable, "-c", LOADER, str(CORE.parent), unwanted, *modules]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


def imported(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def loaded(body: list[ast.stmt]) -> set[str]:
    """What a module imports when it is imported itself: also below if, try, with and class, but in
    no function."""
    names: set[str] = set()
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= imported(node)
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            names |= loaded(
                [
                    child
                    for child in ast.iter_child_nodes(node)
                    if isinstance(child, (ast.stmt, ast.ExceptHandler))
                ]
            )
    return names


def forbidden_calls(tree: ast.AST) -> list[str]:
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        if name in (
            "eval",
            "exec",
            "compile",
            "__import__",
            "torch.load",
            "print",
        ) or name.endswith(".cuda"):
            found.append(f"line {node.lineno}: {name}(")
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_sources_import_and_call_nothing_forbidden(source: Path) -> None:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    assert imported(tree) & FORBIDDEN == set()
    assert forbidden_calls(tree) == []
    depth = len(source.relative_to(CORE).parts)
    above = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level > depth]
    assert not above  # nothing above the core


@pytest.mark.parametrize(
    "source",
    [*SOURCES, *sorted((CORE.parent / "nodes").glob("*.py"))],
    ids=lambda path: "/".join(path.parts[-2:]),
)
def test_no_training_library_is_imported_with_a_node(source: Path) -> None:
    assert loaded(ast.parse(source.read_text(encoding="utf-8")).body) & TRAINING == set()


def test_what_a_module_loads() -> None:
    body = ast.parse(
        "try:\n import peft.x\nexcept OSError:\n from accelerate import y\n"
        "def f():\n import diffusers\nimport transformers"
    ).body
    assert loaded(body) == TRAINING - {"diffusers"}


def test_the_rules_see_what_they_forbid() -> None:
    tree = ast.parse(
        "import diffusers.models\nfrom comfy import x\nz.cuda()\n"
        "eval('1')\ntorch.load(f)\nmodel.eval()"
    )
    assert imported(tree) & FORBIDDEN == {"diffusers", "comfy"}
    assert forbidden_calls(tree) == ["line 3: z.cuda(", "line 4: eval(", "line 5: torch.load("]
