"""Do the tests see? Breaks one line of the package at a time, and expects a test to fail. Run by hand, not by pytest:

    python tests/mutations/run.py                      all changes, one after the other
    python tests/mutations/run.py --jobs 2             two at a time
    python tests/mutations/run.py --only losses        those with "losses" in their file, text or reason
    python tests/mutations/run.py --no-baseline        without first running the tests on the package as it is

The changes are in changes.toml: a file of the package, a text that occurs in it exactly once, what takes its place,
which tests are to notice (pytest's files and, to be quick, a -k), and why it matters. A change that no test can tell
has a reason under `survives`. Each is made in a copy of the checkout, never in the checkout itself.

What comes out, a line a change:
    noticed      a test failed, as it should
    SURVIVED     no test failed: write one (or say under `survives` why there can be none)
    survived     for the reason that is listed
    NOT FOUND    the text is not in the file, or more than once: the code has moved on, and the entry has to follow it
    NO VERDICT   the change is no Python, or pytest ran no test or broke off; what it said is shown
The exit status is 1 if any line is in capitals, or a test fails on the package as it is.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).resolve().parents[2]
CHANGES = Path(__file__).with_name("changes.toml")
TIMEOUT = 300  # seconds: a change can make a test wait for ever, which is noticed as well
FAILED, NOTHING_RUN = 1, 5  # pytest's exit statuses


@dataclass(frozen=True)
class Change:
    """One line broken: see above."""

    file: str
    old: str
    new: str
    tests: str
    why: str
    survives: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.why}"


def read_changes(pattern: str = "") -> list[Change]:
    """The changes in changes.toml that hold a pattern."""
    entries = tomllib.loads(CHANGES.read_text(encoding="utf-8"))["change"]
    return [Change(**entry) for entry in entries if any(pattern in text for text in entry.values())]


def copy_checkout(place: Path) -> Path:
    """A copy of what git knows or would add, with the shared data beside it, as the tests want them to lie."""
    copy = place / "checkout"
    listed = subprocess.check_output(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, text=True)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    if (ROOT.parent / "shared").exists():
        (place / "shared").symlink_to(ROOT.parent / "shared")
    return copy


def run_tests(copy: Path, tests: str) -> tuple[int, str]:
    """Run tests in a copy until one fails; pytest's exit status, and what it said last."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "0",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-o",
        f"timeout={TIMEOUT}",
    ]
    # No bytecode: it is known by the second and the size of its source, which a change may leave as they were.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)  # or the checkout would be tested instead of its copy
    try:
        done = subprocess.run(
            [*command, *shlex.split(tests)],
            cwd=copy,
            env=environment,
            capture_output=True,
            text=True,
            timeout=2 * TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return FAILED, "it hangs"
    crashed = done.returncode < 0  # by a signal: noticed as well
    return FAILED if crashed else done.returncode, "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])


def try_change(copy: Path, change: Change) -> tuple[str, str]:
    """Make a change in a copy, run its tests, and undo it: the verdict, and what more there is to say."""
    path = copy / "lipgan_colab" / change.file
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    if before.count(change.old) != 1:
        return "NOT FOUND", f"{before.count(change.old)} times in {change.file}: {change.old}"
    after = before.replace(change.old, change.new)
    try:
        compile(after, str(path), "exec")
    except SyntaxError as error:
        return "NO VERDICT", f"no Python: {error}"
    path.write_text(after, encoding="utf-8")
    try:
        status, said = run_tests(copy, change.tests)
    finally:
        path.write_text(before, encoding="utf-8")
    if status == 0:
        return ("survived", change.survives) if change.survives else ("SURVIVED", f"{change.tests} saw nothing")
    if status != FAILED:
        return "NO VERDICT", f"no test in {change.tests}" if status == NOTHING_RUN else said
    return ("noticed", "though a reason to survive is listed") if change.survives else ("noticed", "")


def joined(tests: Iterable[str]) -> list[str]:
    """The same tests in fewer runs: one for all that are chosen of the same files."""
    chosen: dict[str, list[str]] = {}
    for each in tests:
        files, _, expression = each.partition(" -k ")
        chosen.setdefault(files, []).append(expression.strip('"'))
    return [
        f'{files} -k "{" or ".join(dict.fromkeys(expressions))}"' if all(expressions) else files
        for files, expressions in chosen.items()
    ]


def failing_as_it_is(copies: Queue, pool: ThreadPoolExecutor, changes: Iterable[Change]) -> bool:
    """Whether any of the tests fails without a change, and then notices nothing."""

    def check(tests: str) -> bool:
        copy = copies.get()
        try:
            status, said = run_tests(copy, tests)
        finally:
            copies.put(copy)
        if status:
            print(f"FAILS AS IT IS  {tests}\n{said}", flush=True)
        return bool(status)

    return any(list(pool.map(check, joined(change.tests for change in changes))))


def main() -> int:
    """Try the changes that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=1, help="changes tried at a time")
    parser.add_argument("--only", default="", metavar="PATTERN", help="changes that hold this text")
    parser.add_argument("--no-baseline", action="store_true", help="do not run the tests on the package as it is")
    args = parser.parse_args()
    changes, started = read_changes(args.only), time.monotonic()
    verdicts: list[str] = []
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder, ThreadPoolExecutor(args.jobs) as pool:
        copies: Queue[Path] = Queue()
        for number in range(args.jobs):
            copies.put(copy_checkout(Path(folder, str(number))))
        broken = not args.no_baseline and failing_as_it_is(copies, pool, changes)

        def attempt(change: Change) -> str:
            copy, began = copies.get(), time.monotonic()
            try:
                verdict, more = try_change(copy, change)
            finally:
                copies.put(copy)
            print(
                f"{verdict:11} {time.monotonic() - began:4.0f} s  {change}" + f"\n    {more}" * bool(more), flush=True
            )
            return verdict

        verdicts = list(pool.map(attempt, changes))
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts))
    print(f"{len(changes)} changes: {counts or 'none'}; {(time.monotonic() - started) / 60:.1f} minutes")
    return int(broken or not changes or any(verdict.isupper() for verdict in verdicts))


if __name__ == "__main__":
    sys.exit(main())
