"""`metrics.csv`: every number of a run, one row for each step, without any account."""

import csv
import io
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from lit_gans.callbacks.images import aside

Row = dict[str, float]
STEP = "step"


def read_metrics(path: str | Path) -> list[Row]:
    """The rows of a `metrics.csv`, each with its `step` and the values that it has.

    A row that its writer could not finish is left out.

    Args:
        path: of the file; one that is missing, empty or of another kind has no rows.
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    whole, _, _unfinished = text.rpartition("\n")
    table = csv.DictReader(io.StringIO(whole))
    if not table.fieldnames or table.fieldnames[0] != STEP:
        return []
    rows: list[Row] = []
    for cells in table:
        with suppress(TypeError, ValueError):
            rows.append({key: float(cell) for key, cell in cells.items() if cell} | {STEP: int(cells[STEP])})
    return rows


def _lines(columns: list[str], rows: list[Row]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_cell(row.get(name)) for name in columns] for row in rows)
    return text.getvalue().encode()


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    # Nine digits are all that a float32 holds.
    return f"{value:.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.9g}"


class CSVRun(Logger):
    """Writes `metrics.csv`: `step` first, then a column for each key in the order of its first appearance.

    What is logged at one step is one row. Rows are written every `flush_every` seconds, by `save` and at the end; the
    newest stays open for what its step has still to say. A run that goes on in the same folder keeps the rows up to the
    step at which it first logs.

    Args:
        save_dir: folder of the file.
        flush_every: seconds, what may be lost if the process is killed.

    Raises:
        ValueError: if `flush_every` is negative.
    """

    def __init__(self, save_dir: str, *, flush_every: float = 10.0) -> None:
        super().__init__()
        if flush_every < 0:
            raise ValueError(f"flush_every must be 0 or more seconds, got {flush_every}.")
        self.path, self.flush_every = Path(save_dir) / "metrics.csv", flush_every
        self.columns: list[str] = [STEP]
        self.open_rows: dict[int, Row] = {}
        self.first_open = -1
        self.settled = 0
        self.started = self.changed = False
        self.due_at = 0.0

    @property
    @override
    def name(self) -> str:
        return ""

    @property
    @override
    def version(self) -> str:
        return ""

    @property
    @override
    def save_dir(self) -> str:
        return str(self.path.parent)

    @override
    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Does nothing: a row holds numbers."""

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        step = max(self.open_rows, default=0) if step is None else step
        now = time.monotonic()
        if not self.started:
            self.drop_after(step)
            self.due_at = now + self.flush_every
        self.open_rows.setdefault(step, {STEP: step}).update({name: float(value) for name, value in metrics.items()})
        self.changed = True
        if now >= self.due_at:
            self.save()
            self.due_at = now + self.flush_every

    @rank_zero_only
    def drop_after(self, step: int) -> None:
        """Drops the rows above `step` from the file: that part of the run is played again.

        The first number that is logged does so by itself.
        """
        self.started = True
        if self.path.exists():
            self._replace([row for row in read_metrics(self.path) if row[STEP] <= step])

    @override
    @rank_zero_only
    def save(self) -> None:
        if not self.changed:
            return
        rows = [self.open_rows[step] for step in sorted(self.open_rows)]
        fresh = {name for row in rows for name in row} - set(self.columns)
        if fresh or rows[0][STEP] < self.first_open or not self.path.exists():
            table = {row[STEP]: row for row in read_metrics(self.path)}
            for row in rows:
                table[row[STEP]] = table.get(row[STEP], {}) | row
            self._replace([table[step] for step in sorted(table)])
        else:
            with self.path.open("r+b") as file:
                file.seek(self.settled)
                file.write(_lines(self.columns, rows))
                file.truncate()
            self._settle(rows, file_size=self.path.stat().st_size)
        self.changed = False

    @override
    @rank_zero_only
    def finalize(self, status: str) -> None:
        self.save()
        self.started = False

    def _replace(self, rows: list[Row]) -> None:
        """Writes the whole file aside and renames it, so that there is always a whole one."""
        self.columns = list(dict.fromkeys([STEP, *self.columns, *(name for row in rows for name in row)]))
        header = io.StringIO()
        csv.writer(header, lineterminator="\n").writerow(self.columns)
        content = header.getvalue().encode() + _lines(self.columns, rows)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with aside(self.path) as part:
            part.write_bytes(content)
        self._settle(rows, file_size=len(content))

    def _settle(self, rows: list[Row], *, file_size: int) -> None:
        """Keeps only the newest row open; the next ones are written from where it begins."""
        newest = rows[-1:]
        self.open_rows = {int(row[STEP]): row for row in newest}
        self.first_open = max(self.open_rows, default=-1)
        self.settled = file_size - len(_lines(self.columns, newest))
