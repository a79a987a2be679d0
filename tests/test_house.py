"""What keeps the house light and whole: floors, budgets, one name everywhere, nothing forgotten in the package."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "lit_gans": ROOT / "lit_gans",
    "lit_gans.callbacks": ROOT / "callbacks",
    "lit_gans.configs": ROOT / "configs",
}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def sources(*folders: str) -> list[Path]:
    """Python files, each once: the links lit_gans/callbacks and lit_gans/configs are left out."""
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if not any(parent.is_symlink() for parent in path.parents)]


CODE = [*sources("lit_gans", "callbacks", "configs"), ROOT / "train.py"]


def logical_lines(source: str) -> int:
    """Lines that are no blank, comment or docstring."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    expressions = [
        node for parent in ast.walk(tree) if isinstance(parent, documented) for node in parent.body if is_text(node)
    ]
    texts = {line for node in expressions for line in range(node.lineno, (node.end_lineno or 0) + 1)}
    lines = enumerate(source.splitlines(), 1)
    return sum(
        bool(line.strip()) and not line.strip().startswith("#") and number not in texts for number, line in lines
    )


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and lines of every function, its docstring not counted."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            text = node.body[0] if is_text(node.body[0]) else None
            documentation = (text.end_lineno or 0) - text.lineno + 1 if text else 0
            yield node.name, (node.end_lineno or 0) - node.lineno + 1 - documentation


def test_the_base_is_small() -> None:
    for name in ("game.py", "gan.py"):
        assert 100 < logical_lines((ROOT / "lit_gans" / name).read_text()) <= 200


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 300
    assert [name for name, length in functions(path) if length > 30] == []


def test_models_and_mixins_are_short() -> None:
    long_models = [path.name for path in sources("lit_gans/models") if logical_lines(path.read_text()) > 150]
    mixins = [path for path in sources("lit_gans/mixins") if path.name != "__init__.py"]
    long_mixins = [path.name for path in mixins if logical_lines(path.read_text()) > 40]
    assert long_models + long_mixins == []
    assert len((ROOT / "lit_gans/models/dcgan.py").read_text().splitlines()) <= 90
    assert logical_lines((ROOT / "lit_gans/models/dcgan.py").read_text()) <= 80


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def test_arrows_run_downwards_only() -> None:
    for path in sources("lit_gans"):
        above = {"lit_gans.callbacks", "lit_gans.configs", "hydra", "omegaconf", "wandb"}
        assert not {name for name in imports(path) if any(name == a or name.startswith(f"{a}.") for a in above)}, path
    for name in ("losses.py", "penalties.py", "augmentations.py", "optim.py"):
        assert not {found for found in imports(ROOT / "lit_gans" / name) if found.startswith("lit_gans")}
    for floor, below in {"layers": ("layers",), "networks": ("networks", "layers")}.items():
        allowed = tuple(f"lit_gans.{name}" for name in below)
        for path in sources(f"lit_gans/{floor}"):
            ours = {found for found in imports(path) if found.startswith("lit_gans")}
            assert all(found.startswith(allowed) for found in ours), path


def test_no_subpackage_is_forgotten() -> None:
    found = set()
    for name, folder in PACKAGES.items():
        for init in folder.rglob("__init__.py"):
            inner = init.parent.relative_to(folder)
            linked = any((folder / part).is_symlink() for part in inner.parts[:1])
            if not linked:
                found.add(".".join([name, *inner.parts]))
    assert set(PYPROJECT["tool"]["setuptools"]["packages"]) == found


def test_every_kind_of_data_file_is_in_the_wheel() -> None:
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]
    for name, folder in PACKAGES.items():
        for path in folder.rglob("*"):
            relative = path.relative_to(folder)
            if path.is_dir() or path.suffix in (".py", ".pyc") or (folder / relative.parts[0]).is_symlink():
                continue
            owner, inside = name, relative
            while len(inside.parts) > 1 and (folder / relative.parts[0] / "__init__.py").exists():
                owner, inside = f"{name}.{relative.parts[0]}", Path(*relative.parts[1:])
                break
            assert any(inside.match(pattern.removeprefix("**/")) for pattern in patterns.get(owner, [])), path


@pytest.mark.parametrize("group", ["model", "tricks"])
def test_every_yaml_has_its_readme_row(group: str) -> None:
    readme = (ROOT / "README.md").read_text()
    for path in sorted((ROOT / "configs" / group).glob("*.yaml")):
        assert re.search(rf"^\| \[?`{path.stem}`", readme, re.MULTILINE), path.stem
    if group == "model":
        missing = [
            p.stem for p in (ROOT / "configs/model").glob("*.yaml") if not (ROOT / f"docs/models/{p.stem}.md").exists()
        ]
        assert missing == []


def test_readme_has_both_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "\npython -m pip install -e . && python train.py\n" in readme
    command = 'python -m pip install -e ".[test]" && python -m pytest'
    assert f"\n{command}\n" in readme
    assert f"\n{command}\n" in (ROOT / ".ci/run").read_text()


def test_nothing_imports_wandb_or_hydra_before_it_is_used() -> None:
    script = (
        "import sys, lit_gans, lit_gans.models, lit_gans.mixins, lit_gans.data\n"
        "import lit_gans.callbacks.ema, lit_gans.callbacks.samples, lit_gans.callbacks.wandb\n"
        "lit_gans.GAN\n"
        "print([name for name in ('wandb', 'hydra') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_links_inside_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+?)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_no_page_names_a_place_of_ours() -> None:
    words = re.compile("index" + r"-url|find" + r"-links|pypi\.org|/wo" + r"rk/|/ro" + "ot/")
    pages = [*CODE, *sources("tests", "benchmarks"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    assert [str(page) for page in pages if words.search(page.read_text())] == []
