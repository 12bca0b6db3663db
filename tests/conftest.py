"""Where the tests find real data, and drawn data for what needs none; and what they must not depend on."""

import http.server
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

# The same everywhere, in this process before anything else is imported, and in every process that a test starts:
# numbers in one precision, whatever is fast here (what bfloat16 does is tested where it is asked for), and added up by
# one thread; an empty home; and the package found from any folder. (No GPU: see pytest_configure.)
_home = tempfile.TemporaryDirectory(prefix="lipgan-home-")
_foreign = r"XDG_|JUPYTER|IPYTHON|MPL|COLAB_|TPU_|(LOCAL_)?RANK$|WORLD_SIZE$|LIPGAN_(FACE_MODEL|FACES|SIGN_\w+)$"
for _name in [n for n in os.environ if re.match(_foreign, n)]:
    del os.environ[_name]
os.environ |= {
    "LIPGAN_PRECISION": "float32",
    "LIPGAN_WEIGHTS": str(Path(_home.name) / "weights"),
    "OMP_NUM_THREADS": "1",
    "HOME": _home.name,
    "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
}


# The files that take longest come first: one that is begun last lets the other process wait for it.
LONGEST = (
    "test_notebooks.py",
    "training/test_train.py",
    "browser/test_generate_notebook.py",
    "cli/test_verbs.py",
    "evaluation/test_ablation.py",
    "generation/test_generate.py",
    "generation/test_dubbing.py",
    "generation/test_starter.py",
    "shards/test_preprocess.py",
    "speech/test_sync.py",
    "training/test_distributed.py",
    "training/test_two_trainers.py",
    "training/test_train_motion.py",
    "training/test_bad_drive.py",
    "browser/test_judges_page.py",
    "evaluation/test_evaluate.py",
    "evaluation/judges/test_make.py",
)


def pytest_collection_modifyitems(items):
    """In the order of LONGEST, then the others as they were."""
    places = {f"tests/{name}": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def pytest_configure(config):
    """Only tests that are asked for as such (`-m gpu`) see the GPUs; LIPGAN_TEST_GPUS shows some to the others too."""
    if config.option.markexpr != "gpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("LIPGAN_TEST_GPUS", "")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips, photos, sounds and golden values that lies beside the checkout."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no real data beside the checkout (../shared)")
    return SHARED


@pytest.fixture(scope="session")
def golden_file(shared, tmp_path_factory):
    """`golden_file(name, form="weights")`: a file of one of the authors' networks, with known weights.

    `form`, of the Keras ones, is what wrote it: "weights" (`save_weights`) or "model" (`save`). Not to be changed.
    """
    sys.path.insert(0, str(shared / "golden"))
    import rebuild

    folder = tmp_path_factory.mktemp("golden")

    def build(name: str, form: str = "weights") -> Path:
        path = folder / (f"{name}.pth" if name.startswith("wav2lip") else f"{name}.{form}.h5")
        if not path.exists():
            if path.suffix == ".pth":
                rebuild.pth(name, path)
            else:
                rebuild.h5(name, path, form)
        return path

    yield build
    for path in folder.iterdir():  # they are large
        path.unlink()


@pytest.fixture(scope="session")
def drawn_videos(tmp_path_factory) -> Path:
    """A folder of four short drawn clips of two people. Not to be changed."""
    from lipgan_colab.synthetic.clips import draw_corpus

    folder = tmp_path_factory.mktemp("videos")
    draw_corpus(folder, clips=4, identities=2, seconds=1.0)
    return folder


@pytest.fixture(scope="session")
def drawn_shards(drawn_videos, tmp_path_factory) -> Path:
    """The shards of `drawn_videos`. Not to be changed."""
    from lipgan_colab.corpora.corpus import folder
    from lipgan_colab.shards.preprocess import preprocess

    shards = tmp_path_factory.mktemp("shards")
    preprocess(folder(drawn_videos), shards, workers=0)
    return shards


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=False).returncode:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@dataclass
class Web:
    """A web server on this machine.

    Attributes:
        url: where it answers.
        files: what lies at which path.
        cuts: after how many bytes of the body it hangs up, once for each entry of a path's list.
        refused: paths answered with this status.
        ranges: whether it can go on in the middle of a file.
        pause: seconds before it answers.
        asked: (path, Range header or None) of every request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: dict[str, list[int]] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    ranges: bool = True
    pause: float = 0
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def web():
    """A `Web` to fill with files."""
    web = Web()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            web.asked.append((self.path, self.headers.get("Range")))
            time.sleep(web.pause)
            if self.path in web.refused:
                return self.send_error(web.refused[self.path])
            if self.path not in web.files:
                return self.send_error(404)
            body, start = web.files[self.path], 0
            wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
            if wanted and web.ranges:
                start = int(wanted[1])
                if start >= len(body):
                    return self.send_error(416)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.end_headers()
            body = body[start:]
            if web.cuts.get(self.path):
                body = body[: web.cuts[self.path].pop(0)]
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        web.url = f"http://127.0.0.1:{server.server_port}"
        yield web
        server.shutdown()
        thread.join()
