"""Does LRS2 get from part files to a training step on one disk, whatever ends it, without a byte of difference?

PYTHONPATH=. python benchmarks/lrs2_rehearsal.py [UTTERANCES]    (default: 200; needs GRID clips in ../shared)

A make-believe LRS2 (its layout and lists, clips of GRID cut in half) is tarred and split into five parts. One run takes
them from a folder. The other takes them from a web server, and kill -9 ends it while it downloads, while it unpacks
what it now finds in the folder, and while it preprocesses. Disk use is that of all files of a run but its shards.
"""

import fnmatch
import http.server
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "data" / "grid" / "s1"
DISTINCT, PROGRAMMES, PARTS = 20, 19, 5
PER_SHARD = 5  # of a few hundred; what waits unfinished is a part of the whole as it is with 200 of LRS2's 144 000


def make_parts(folder: Path, root: Path, count: int) -> int:
    """The five parts, and the lists in root; returns the bytes of all members."""
    bodies = [p.read_bytes() for p in sorted(CLIPS.glob("*.mpg"))[:DISTINCT]]
    names = [f"{6300000000 + n % PROGRAMMES}/{n // PROGRAMMES:05d}" for n in range(count)]
    size = 0
    with tarfile.open(folder / "whole.tar", "w") as archive:
        for n, name in enumerate(names):
            body = bodies[n % DISTINCT]
            for suffix, content in ((".mp4", body[: len(body) // 2]), (".txt", b"Text:  BIN BLUE AT F TWO NOW\n")):
                member = tarfile.TarInfo(f"mvlrs_v1/main/{name}{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
                size += len(content)
    whole = (folder / "whole.tar").read_bytes()
    (folder / "whole.tar").unlink()
    step = -(-len(whole) // PARTS)
    for n in range(PARTS):
        (folder / f"lrs2_v1_parta{chr(97 + n)}").write_bytes(whole[n * step : (n + 1) * step])
    for name, lines in {"train": names, "val": [], "test": [], "pretrain": []}.items():
        (root / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    return size


def serve(folder: Path) -> str:
    """A web server that gives the parts slowly enough to be interrupted; its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = (folder / self.path[1:]).read_bytes()
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
            start = int(wanted[1]) if wanted else 0
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            for place in range(start, len(body), 1 << 18):
                self.wfile.write(body[place : place + (1 << 18)])
                time.sleep(0.02)

        def log_message(self, *_):
            pass

        def handle(self):
            with suppress(ConnectionError):  # the reader was killed
                super().handle()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


class Disk(threading.Thread):
    """Watches the most that a folder holds, its finished shards left out."""

    def __init__(self, folder: Path):
        super().__init__(daemon=True)
        self.folder, self.peak = folder, 0

    def run(self):
        while True:
            used = 0
            for folder, _, names in os.walk(self.folder):
                for name in names if Path(folder).name != "shards" else []:
                    with suppress(OSError):  # gone meanwhile
                        used += os.path.getsize(os.path.join(folder, name))
            self.peak = max(self.peak, used)
            time.sleep(0.1)


def command(*arguments) -> list[str]:
    return [sys.executable, "-m", "lipgan_colab", *map(str, arguments)]


def killed(arguments: list[str], moment) -> str:
    """Run until `moment()` holds, then kill -9; says when that was."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    start = time.monotonic()
    while not moment() and process.poll() is None:
        time.sleep(0.01)
    ended = process.poll() is not None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return "ended before it could be killed" if ended else f"killed after {time.monotonic() - start:.1f} s"


def count(folder: Path, pattern: str) -> int:
    """Files of such a name; folders may vanish meanwhile."""
    return sum(len(fnmatch.filter(names, pattern)) for _, _, names in os.walk(folder))


def run(root: Path, parts: list, kills: bool, folder: Path, utterances: int) -> None:
    fetch = [command("fetch", "--corpus", "lrs2", "--parts", *s, "--out", root, "--split", "train") for s in parts]
    preprocess = command(
        *("preprocess", "--corpus", "lrs2", "--videos", root, "--out", root / "shards", "--balance", "programme"),
        *("--utterances-per-shard", PER_SHARD, "--workers", 1),
    )
    small = ("--steps", 1, "--width", 0.25, "--batch-size", 2)
    train = command("train", "--shards", root / "shards", "--run", folder / f"run{kills}", *small)
    quarter, most, half = utterances // 4, utterances * 2 // 3, utterances // 2 // PER_SHARD
    if kills:
        print("download:", killed(fetch[0], lambda: count(root, "[!.]*.mp4") > quarter))
        print("unpack:", killed(fetch[-1], lambda: count(root, "[!.]*.mp4") > most))
    finished(fetch[-1])
    if kills:
        print("preprocess:", killed(preprocess, lambda: count(root / "shards", "shard-*.safetensors") > half))
    finished(preprocess)
    finished(train)


def finished(arguments: list[str]) -> None:
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    print(done.stdout.strip())


def main() -> None:
    utterances = int(sys.argv[1]) if sys.argv[1:] else 200
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shards = []
        for kills in (False, True):
            root, parts = folder / f"root{kills}", folder / f"parts{kills}"
            root.mkdir()
            parts.mkdir()
            size = make_parts(parts, root, utterances)
            disk = Disk(root)
            disk.start()
            addresses = [f"{serve(parts)}/{p.name}" for p in sorted(parts.iterdir())]
            start = time.monotonic()
            run(root, [addresses, [parts]] if kills else [[parts]], kills, folder, utterances)
            print(
                f"{'killed three times' if kills else 'undisturbed'}: {time.monotonic() - start:.0f} s, "
                f"at most {disk.peak / 1e6:.1f} MB for {size / 1e6:.1f} MB of members: {disk.peak / size - 1:+.1%}"
            )
            shards.append({p.name: p.read_bytes() for p in (root / "shards").iterdir() if p.is_file()})
            shutil.rmtree(parts)
        differing = [name for name in {**shards[0], **shards[1]} if shards[0].get(name) != shards[1].get(name)]
        print(f"{len(shards[0])} files of shards, not the same byte for byte: {differing or 'none'}")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
