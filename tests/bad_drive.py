"""A folder that behaves as badly as Drive: a FUSE file system over another folder, with faults on a schedule.

    python bad_drive.py FOLDER MOUNT_POINT '[["enotconn", 40, 90], ["lost", 10, 12]]'

Each fault is a kind, and the first and last (not included, null: for ever) of the operations that it hits. An operation
is any call of the kernel but for looking up names.
"""

import ctypes.util
import errno
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ERRORS = {"enospc": errno.ENOSPC, "eio": errno.EIO, "enotconn": errno.ENOTCONN}
STALL = 10.0 if os.environ.get("LIPGAN_THOROUGH") else 3.0  # seconds


def why_not() -> str | None:
    """Why no such folder can be made here, or None."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "no /dev/fuse"
    if ctypes.util.find_library("fuse3") is None or shutil.which("fusermount3") is None:
        return "no libfuse3 (apt-get install fuse3)"
    return None


@contextmanager
def bad_drive(folder: Path, mount_point: Path, faults: list[tuple[str, int, int | None]] = ()) -> Iterator[None]:
    """Has `folder` behind `mount_point` within the block."""
    folder.mkdir(parents=True, exist_ok=True)
    mount_point.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, str(folder), str(mount_point), json.dumps(list(faults))]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while not os.path.ismount(mount_point):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the FUSE file system could not be mounted")
            time.sleep(0.02)
        yield
    finally:
        subprocess.run(["fusermount3", "-u", "-z", str(mount_point)], check=False, stderr=subprocess.DEVNULL)
        server.kill()
        server.wait()


def serve(folder: str, mount_point: str, faults: list) -> None:
    """Mount, and answer until it is unmounted."""
    import mfusepy

    class BadDrive(mfusepy.Operations):
        use_ns = True

        def __init__(self):
            self.operations = 0

        def _fault(self, *kinds: str) -> str | None:
            """Count an operation; raise what is due, or name what the caller has to do badly."""
            self.operations += 1
            due = [kind for kind, first, last in faults if first <= self.operations and self.operations < (last or 1e9)]
            if "stall" in due:
                faults[:] = [fault for fault in faults if fault[0] != "stall"]  # each stall is one operation
                time.sleep(STALL)
            for kind in due:
                if kind in ERRORS and (kind != "enospc" or "space" in kinds):
                    raise mfusepy.FuseOSError(ERRORS[kind])
                if kind in kinds:
                    return kind
            return None

        def _at(self, path: str) -> str:
            return folder + re.sub("^/My Drive(?=/|$)", "/MyDrive", path)  # Drive answers to both, and lists one

        def getattr(self, path, fh=None):
            if any(k == "enotconn" and f <= self.operations and self.operations < (to or 1e9) for k, f, to in faults):
                self._fault()
            about = os.lstat(self._at(path))
            names = ("st_atime_ns", "st_ctime_ns", "st_mtime_ns", "st_mode", "st_nlink", "st_size", "st_uid", "st_gid")
            return {name.removesuffix("_ns"): getattr(about, name) for name in names}

        def readdir(self, path, fh):
            self._fault()
            return [".", "..", *os.listdir(self._at(path))]

        def statfs(self, path):
            self._fault()
            about = os.statvfs(self._at(path))
            return {name: getattr(about, name) for name in ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_frsize")}

        def mkdir(self, path, mode):
            self._fault("space")
            os.mkdir(self._at(path), mode)

        def rmdir(self, path):
            self._fault()
            os.rmdir(self._at(path))

        def chmod(self, path, mode):
            os.chmod(self._at(path), mode)

        def create(self, path, mode, fi=None):
            self._fault("space")
            return os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)

        def open(self, path, flags):
            self._fault()
            return os.open(self._at(path), flags)

        def read(self, path, size, offset, fh):
            self._fault()
            return os.pread(fh, size, offset)

        def write(self, path, data, offset, fh):
            fault = self._fault("space", "short", "lost")
            if fault == "short" and len(data) > 1:
                data = data[: len(data) // 2]
            if fault == "lost":  # the size is right, the bytes never come
                os.ftruncate(fh, max(os.fstat(fh).st_size, offset + len(data)))
                return len(data)
            return os.pwrite(fh, data, offset)

        def truncate(self, path, length, fh=None):
            self._fault()
            os.truncate(self._at(path), length)

        def fsync(self, path, datasync, fh):
            self._fault()  # and nothing is synced

        def flush(self, path, fh):
            pass

        def release(self, path, fh):
            os.close(fh)

        def unlink(self, path):
            self._fault()
            os.unlink(self._at(path))

        def rename(self, old, new):
            self._fault()
            os.rename(self._at(old), self._at(new))

    mfusepy.FUSE(BadDrive(), mount_point, foreground=True, nothreads=True)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
