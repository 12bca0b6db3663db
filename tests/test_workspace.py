"""Where things live: a folder, or Drive on a Colab that is played by a module of the same name."""

import contextlib
import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import types

import pytest

from lipgan_colab import open_workspace
from lipgan_colab import workspace as module
from lipgan_colab.errors import InputError
from lipgan_colab.workspace import Workspace, local_folder, on_colab


class MessageError(Exception):
    """As Colab's own."""


class Drive(types.ModuleType):
    """google.colab.drive, as far as it is used."""

    def __init__(self, mount_point, errors=()):
        super().__init__("google.colab.drive")
        self.mount_point, self.errors, self.calls = mount_point, list(errors), []

    def mount(self, path, force_remount=False):
        self.calls.append("remount" if force_remount else "mount")
        if not force_remount and (self.mount_point / "My Drive").is_dir():
            return
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error
        if any(self.mount_point.glob("*")) and not os.path.ismount(self.mount_point):
            raise ValueError("Mountpoint must not already contain files")
        if not os.path.ismount(self.mount_point):
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path], check=True)
        (self.mount_point / "MyDrive").mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (self.mount_point / "My Drive").symlink_to("MyDrive")  # it answers to both

    def flush_and_unmount(self):
        self.calls.append("flush")
        subprocess.run(["umount", self.mount_point], check=True)


@pytest.fixture
def colab(tmp_path, monkeypatch):
    """Makes this machine a Colab whose drive.mount raises these errors; a real mount stands for Drive."""
    if os.geteuid():
        pytest.skip("mounting needs root")
    mount_point = tmp_path / "drive"
    mount_point.mkdir()
    monkeypatch.setattr(module, "DRIVE", mount_point)
    monkeypatch.setattr(module, "COLAB_DISK", tmp_path / "disk")

    def make(*errors):
        drive = Drive(mount_point, errors)
        for name in ("google.colab", "google.colab.drive"):
            monkeypatch.setitem(sys.modules, name, drive)
        return drive

    yield make
    if os.path.ismount(mount_point):
        subprocess.run(["umount", "-l", mount_point], check=True)


def test_elsewhere_it_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    workspace = open_workspace("mine")
    assert sorted(p.name for p in (tmp_path / "mine").iterdir()) == ["raw", "results", "runs", "shards"]
    assert workspace.root == workspace.local == tmp_path / "mine"
    assert workspace.lasts and not on_colab()
    assert workspace.stage(make_shards(workspace.shards / "grid")) == workspace.shards / "grid"
    before = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: before._replace(free=len(str(place))))
    assert workspace.free_space().local == len(str(tmp_path / "mine"))
    workspace.flush()


def test_a_folder_can_stand_for_drive(tmp_path):
    assert open_workspace("mine", drive=tmp_path / "disk").runs == tmp_path / "disk" / "mine" / "runs"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        open_workspace("mine", drive=tmp_path / "file")


def test_colab_is_known_by_its_release_tag(monkeypatch):
    monkeypatch.setenv("COLAB_RELEASE_TAG", "release-colab_20260819")
    assert on_colab()


def test_on_colab_drive_lasts_and_the_disk_is_beside_it(colab, tmp_path, monkeypatch):
    drive = colab()
    with pytest.raises(InputError, match="Drive is not mounted"):
        local_folder(module.DRIVE / "MyDrive" / "lipgan" / "runs")
    workspace = open_workspace()
    assert workspace.root == tmp_path / "drive" / "MyDrive" / "lipgan"
    assert workspace.local == tmp_path / "disk" / "MyDrive" / "lipgan"
    assert workspace.lasts and workspace.results.is_dir()
    assert local_folder(workspace.runs / "first") == workspace.local / "runs" / "first"
    assert workspace.free_space().lasting < 2 << 20
    (workspace.runs / "note").write_text("kept")
    monkeypatch.chdir(tmp_path)
    workspace.flush()
    assert os.getcwd() == str(tmp_path)
    assert drive.calls == ["mount", "flush", "mount"]
    assert open_workspace("other").root.is_dir()


def test_a_refusal_means_the_disk_and_a_loud_warning(colab, tmp_path):
    colab(MessageError("Error: credential propagation was unsuccessful"))
    said = []
    workspace = open_workspace(say=said.append)
    assert workspace.root == workspace.local == tmp_path / "disk" / "lipgan"
    assert not workspace.lasts
    assert "Drive was refused" in said[0] and "will NOT last" in said[1]
    assert not list(module.DRIVE.iterdir())


def test_a_colab_without_drive_means_the_disk(colab):
    colab(NotImplementedError("Mounting drive is unsupported in this environment."))
    assert not open_workspace(say=lambda line: None).lasts
    assert not open_workspace(drive="off", say=lambda line: None).lasts


@pytest.mark.parametrize("error", [ValueError("mount failed\nlong log"), RuntimeError("Timeout exceeded.\n<pexpect>")])
def test_a_failure_is_one_line(colab, error):
    colab(error)
    with pytest.raises(InputError, match="Drive could not be mounted") as raised:
        open_workspace()
    assert len(str(raised.value).splitlines()) == 1


def test_a_broken_connection_is_mounted_again(colab, monkeypatch):
    drive = colab()
    answers = iter([False, True])
    monkeypatch.setattr(module, "_answers", lambda: next(answers))
    open_workspace()
    assert drive.calls == ["mount", "remount"]


@pytest.mark.parametrize("place", ["MyDrive/lipgan", "My Drive/MyDrive", "a", "MyDrive"])
def test_a_mount_point_with_something_in_it_is_named_with_the_cure(colab, place):
    colab()
    (module.DRIVE / place).mkdir(parents=True)
    (module.DRIVE / "MyDrive").mkdir(exist_ok=True)
    with pytest.raises(
        InputError, match=f"{module.DRIVE}: Drive cannot be mounted over what lies .*own disk: "
    ) as told:
        open_workspace()
    assert place.split("/")[0] in str(told.value) and "move it elsewhere, or delete it" in str(told.value)
    assert len(str(told.value).splitlines()) == 1 and "restart" not in str(told.value)
    shutil.rmtree(module.DRIVE)
    module.DRIVE.mkdir()
    assert open_workspace().lasts  # "then run this again"


def test_of_many_files_in_the_way_some_are_named(colab):
    colab()
    for n in range(9):
        (module.DRIVE / f"{n}.mp4").touch()
    with pytest.raises(InputError, match=r"0\.mp4, 1\.mp4, 2\.mp4, 3\.mp4, 4\.mp4 and 4 more; move"):
        open_workspace()


def make_shards(folder, count: int = 3):
    """Files that look like shards, with a manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for n in range(count):
        path = folder / f"shard-{n:05d}.safetensors"
        path.write_bytes(os.urandom(10_000 + n))
        entries.append({"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
    (folder / "manifest.json").write_text(json.dumps({"shards": entries}))
    return folder


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """One whose lasting folder is not the local one."""
    monkeypatch.setattr(module, "PATIENCE", (0,))
    return Workspace(tmp_path / "drive", tmp_path / "disk")


def contents(folder) -> dict:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_shards_are_staged_once(workspace):
    source = make_shards(workspace.shards / "grid")
    staged = workspace.stage("grid")
    assert staged == workspace.local / "shards" / "grid"
    assert contents(staged) == contents(source)
    before = {p: p.stat().st_ino for p in staged.glob("shard-*")}
    (staged / "shard-00001.safetensors").unlink()  # as if it had been interrupted
    (staged / "shard-00009.safetensors").write_bytes(b"of an earlier version")
    workspace.stage("grid")
    assert contents(staged) == contents(source)
    after = {p: p.stat().st_ino for p in staged.glob("shard-*")}
    assert {p.name for p in before if before[p] != after.get(p)} <= {"shard-00001.safetensors"}


def test_shards_that_changed_are_staged_again(workspace):
    source = make_shards(workspace.shards / "grid")
    workspace.stage("grid")
    make_shards(source)  # of the same sizes
    assert contents(workspace.stage("grid")) == contents(source)


def test_a_folder_from_elsewhere_can_be_staged(workspace, tmp_path):
    source = make_shards(tmp_path / "usb" / "mine")
    (source / "manifest.json").unlink()  # preprocessing is still going on
    assert workspace.stage(source) == workspace.local / "shards" / "mine"


def test_damaged_shards_are_not_staged(workspace):
    source = make_shards(workspace.shards / "grid")
    (source / "shard-00001.safetensors").write_bytes(bytes(10_001))
    with pytest.raises(InputError, match=r"shard-00001\.safetensors: damaged"):
        workspace.stage("grid")
    assert not (workspace.local / "shards" / "grid" / "shard-00001.safetensors").exists()
    with pytest.raises(InputError, match="holds no shard"):
        workspace.stage("none")


def test_shards_that_do_not_fit_are_not_begun(workspace, small_disk):
    source = make_shards(workspace.shards / "grid", 1)
    (source / "shard-00001.safetensors").write_bytes(bytes(2_000_000))
    small = Workspace(workspace.root, small_disk)
    with pytest.raises(InputError, match="no room"):
        small.stage("grid")


def test_a_disk_that_fills_up_while_staging_is_one_line_at_once(workspace, small_disk, monkeypatch):
    make_shards(workspace.shards / "grid")
    monkeypatch.setattr(module, "PATIENCE", (60,))  # for disks that err, not for those that are full
    room = shutil.disk_usage(small_disk)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: room)
    (small_disk / "filler").write_bytes(bytes(1020 << 10))  # by somebody else, meanwhile
    with pytest.raises(InputError, match=r"not written|cannot be made") as told:
        Workspace(workspace.root, small_disk).stage("grid")
    assert "No space left on device" in str(told.value)


def test_a_drive_that_errs_while_a_shard_is_read_is_asked_again(workspace, monkeypatch):
    source = make_shards(workspace.shards / "grid")
    chunks, failures = module._chunks, [OSError(5, "Input/output error")] * 2
    monkeypatch.setattr(module, "PATIENCE", (0, 0))

    def failing(path):
        if failures:
            raise module._Unread(failures.pop().strerror)
        return chunks(path)

    monkeypatch.setattr(module, "_chunks", failing)
    assert contents(workspace.stage("grid")) == contents(source)


def test_the_check_up_says_what_the_machine_is(workspace):
    workspace.root.mkdir()
    workspace.local.mkdir()
    lines = []
    good = workspace.check_up(lines.append)
    text = "\n".join(lines)
    assert good == (not lines[0].startswith("device     CPU")) and "NO GPU" not in text  # most need none
    for word in ("device", "memory", "disk", "free", "Python", "torch"):
        assert word in text


def test_importing_it_imports_no_torch():
    script = "import sys, lipgan_colab.workspace; print('torch' in sys.modules, 'google.colab' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
    assert importlib.import_module("lipgan_colab").open_workspace is open_workspace
