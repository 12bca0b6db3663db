"""The memory that a process of ours frees: it is kept, for the next picture or layer is as large."""

import ctypes
import platform


def keep_freed_memory() -> None:
    """Let glibc keep freed memory instead of handing it back to the system after every layer.

    By default each big activation is mapped anew, and its page faults cost up to half of the time on CPUs. To be
    called before the first big tensor; does nothing on other C libraries.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mmap_max, trim_threshold, top_pad = -4, -1, -2  # names of <malloc.h>
    mallopt = ctypes.CDLL("libc.so.6").mallopt
    for parameter, value in ((mmap_max, 0), (trim_threshold, -1), (top_pad, 256 << 20)):
        mallopt(parameter, value)
