"""docs/headless.md: its script trains and goes on with the same run, and its commands take what they are given."""

import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from lipgan_colab.cli.verbs import _parser
from lipgan_colab.training.checkpoint import find_checkpoints

DOCS = Path(__file__).resolve().parents[1] / "docs"
# What google-colab-cli 0.6.0 takes (its commands/*.py): options, and how many names besides.
COLAB = {
    "new": ({"-s", "--gpu"}, 0),
    "drivemount": ({"-s"}, 1),
    "exec": ({"-s", "-f", "--timeout"}, 0),
    "stop": ({"-s"}, 0),
    "run": ({"-s", "--gpu", "--keep", "--timeout"}, 9),
    "download": ({"-s"}, 2),
}
# How its `exec` runs a file: the text of it, in the namespace of a kernel.
AS_A_KERNEL = "import sys; exec(compile(open(sys.argv[1]).read(), 'cell', 'exec'), {'__name__': '__main__'})"


def commands():
    blocks = re.findall(r"^```sh\n(.*?)^```", (DOCS / "headless.md").read_text(), re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def test_commands_take_what_they_are_given():
    ours = [words[3:] for words in commands() if words[:3] == ["python", "-m", "lipgan_colab"]]
    assert [words[0] for words in ours] == ["train", "status", "generate"]
    for words in ours:
        assert _parser(words[0]).parse_args(words).run_verb
    colabs = [words[1:] for words in commands() if words[0] == "colab"]
    assert {words[0] for words in colabs} == COLAB.keys()
    for command, *words in colabs:
        options, names = COLAB[command]
        given = {word for word in words if word.startswith("-")}
        assert given <= options, command
        assert len(words) - len(given) - len(given - {"--keep"}) <= names
    files = [words[i] for words in colabs for i in range(len(words)) if words[i].endswith(".py")]
    assert files and all((DOCS.parent / file).is_file() for file in files)


def test_the_script_trains_and_goes_on_with_the_same_run(drawn_shards, tmp_path):
    content, drive = tmp_path / "content", tmp_path / "drive"
    (content / "lipgan_colab").mkdir(parents=True)
    (content / "lipgan_colab" / "lipgan_colab").symlink_to(DOCS.parent / "lipgan_colab")
    (content / "lipgan_colab" / "requirements-colab.txt").write_text(f"av=={version('av')}\n")
    text = (DOCS / "colab_train.py").read_text()

    def executed(steps):
        script = tmp_path / "colab_train.py"
        settings = f'SETTINGS = "--device cpu --width 0.1 --batch-size 2 --workers 0 --steps {steps}"'
        filled = re.sub(r"^SETTINGS = .*", settings, text, flags=re.MULTILINE)
        script.write_text(re.sub(r'^DRIVE = "[^"]*"', f"DRIVE = {str(drive)!r}", filled, flags=re.MULTILINE))
        command = [sys.executable, "-c", AS_A_KERNEL, script]
        return subprocess.run(command, cwd=content, capture_output=True, text=True, check=False)

    early = executed(2)
    assert early.returncode and "mount Drive first: colab drivemount" in early.stderr
    shutil.copytree(drawn_shards, drive / "lipgan" / "shards" / "tiny_sample")
    for steps in (2, 4):
        done = executed(steps)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("going on from step 2" in done.stdout) == (steps == 4), done.stdout
        assert find_checkpoints(drive / "lipgan" / "runs" / "first" / "checkpoints")[0].step == steps


def test_links_between_pages_lead_somewhere():
    links = re.findall(r"\]\((?!http)([^)#]+)", (DOCS / "headless.md").read_text())
    assert "law.md" in links and all((DOCS / link).exists() for link in links)
