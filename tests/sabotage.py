"""Breaks every trick in every way it is usually broken, and makes sure that its tests notice.

usage: python -m tests.sabotage [--list] [--jobs N] [TRICK ...]

For each file of lit_gans/mixins, one sabotage at a time in a copy of the tree: a term of a sum is dropped, a factor (a
weight, a half) is left out of a product or quotient, a detach or clone is left out, a hook of the trick is not there, a
choice goes the other way. A sabotage that no default test of the trick notices is printed; those of `HARMLESS` change
nothing that could be noticed, and say why.
"""

import argparse
import ast
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
MIXINS = ROOT / "lit_gans" / "mixins"
CARRIED = ("detach", "clone")

HARMLESS: dict[str, str] = {}
"""By ``trick: what is done``: why nothing can be noticed."""


@dataclass(frozen=True)
class Sabotage:
    """One way to break a file.

    Attributes:
        trick: the file's name.
        what: what is done, for a person.
        source: the broken file.
    """

    trick: str
    what: str
    source: str

    @property
    def name(self) -> str:
        return f"{self.trick}: {self.what}"


def _replaced(source: str, node: ast.expr, text: str) -> str:
    """The source with an expression replaced."""
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    data = source.encode()
    begin, end = (
        starts[node.lineno - 1] + node.col_offset,
        starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0),
    )
    return (data[:begin] + text.encode() + data[end:]).decode()


def _without_hook(source: str, node: ast.FunctionDef) -> str:
    """The source with a method under a name that nothing calls."""
    lines = source.splitlines(keepends=True)
    lines[node.lineno - 1] = lines[node.lineno - 1].replace(f"def {node.name}(", f"def sabotaged_{node.name}(")
    first = min([decorator.lineno for decorator in node.decorator_list], default=node.lineno)
    return "".join([*lines[: first - 1], *lines[node.lineno - 1 :]])


def _of_expression(source: str, node: ast.expr) -> Iterator[tuple[str, str]]:
    """What can be done to one expression: a description, and the broken source."""
    text = ast.get_source_segment(source, node) or ""
    if isinstance(node, ast.BinOp):
        left, right = (f"({ast.get_source_segment(source, side)})" for side in (node.left, node.right))
        if isinstance(node.op, ast.Add | ast.Sub):
            yield f"only the left of `{text}`", _replaced(source, node, left)
        elif isinstance(node.op, ast.Mult):
            yield f"only the right of `{text}`", _replaced(source, node, right)
        elif isinstance(node.op, ast.Div):
            yield f"no divisor in `{text}`", _replaced(source, node, left)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CARRIED:
        owner = ast.get_source_segment(source, node.func.value) or ""
        yield f"no {node.func.attr} in `{text}`", _replaced(source, node, owner)
    elif isinstance(node, ast.IfExp):
        test = ast.get_source_segment(source, node.test)
        yield f"not `{test}`", _replaced(source, node.test, f"(not ({test}))")


def sabotages(path: Path) -> Iterator[Sabotage]:
    """Every way to break one trick's file."""
    source = path.read_text()
    tree = ast.parse(source)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    for owner in classes:
        for method in (node for node in owner.body if isinstance(node, ast.FunctionDef)):
            if method.name == "__init__" or method.name.startswith("_"):
                continue
            yield Sabotage(path.stem, f"no {method.name}", _without_hook(source, method))
            for node in ast.walk(method):
                if isinstance(node, ast.expr) and not _is_message(node, method):
                    for what, broken in _of_expression(source, node):
                        yield Sabotage(path.stem, f"{method.name}: {what}", broken)


def _is_message(node: ast.expr, method: ast.FunctionDef) -> bool:
    """Whether an expression is part of the sentence of an error."""
    raised = [inner for inner in ast.walk(method) if isinstance(inner, ast.Raise)]
    return any(node in ast.walk(inner) for inner in raised)


def tests_of(trick: str) -> list[str]:
    """The test files and names that have to notice."""
    own = ROOT / "tests" / "mixins" / f"test_{trick}.py"
    files = [str(own.relative_to(ROOT))] if own.exists() else []
    shared = [
        "mixins/test_tricks",
        "mixins/test_turns",
        "mixins/test_resume",
        "models/test_twins",
        "models/test_composed",
    ]
    return [*files, *(f"tests/{name}.py" for name in shared)]


def noticed(sabotage: Sabotage) -> bool:
    """Whether a test of the trick fails in a copy of the tree with the broken file."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "tree")
        shutil.copytree(
            ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(".git", "runs", ".venv*", "*.png", ".*_cache")
        )
        (copy / "lit_gans" / "mixins" / f"{sabotage.trick}.py").write_text(sabotage.source)
        files = tests_of(sabotage.trick)
        own = [file for file in files if Path(file).stem == f"test_{sabotage.trick}"]
        shared = [file for file in files if file not in own]
        selected = [*([own] if own else []), [*shared, "-k", f"{sabotage.trick} and not two_processes"]]
        for arguments in selected:
            command = [sys.executable, "-m", "pytest", "-n", "0", "-x", "-q", "-p", "no:cacheprovider", *arguments]
            done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=600)
            if done.returncode == 1:
                return True
            if done.returncode not in (0, 5):
                return "Error" in done.stdout  # it cannot even be imported
    return False


def main() -> int:
    """Prints what nobody noticed; the exit code is 1 if there is any."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tricks", nargs="*", help="all if none is named")
    parser.add_argument("--list", action="store_true", help="print what would be done")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    paths = [path for path in sorted(MIXINS.glob("*.py")) if path.stem != "__init__"]
    chosen = [path for path in paths if not arguments.tricks or path.stem in arguments.tricks]
    todo = [sabotage for path in chosen for sabotage in sabotages(path)]
    if arguments.list:
        print(*(sabotage.name for sabotage in todo), sep="\n")
        return 0
    todo = [sabotage for sabotage in todo if sabotage.name not in HARMLESS]
    missed = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for sabotage, seen in zip(todo, pool.map(noticed, todo), strict=True):
            print("noticed" if seen else "MISSED ", sabotage.name, flush=True)
            missed += [] if seen else [sabotage.name]
    print(f"{len(todo)} sabotages, {len(missed)} not noticed")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
