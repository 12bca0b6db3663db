"""What is named and is not there, told before a verb loads its libraries, which takes seconds."""

import os
from collections.abc import Iterator, Sequence

from lipgan_colab.errors import InputError
from lipgan_colab.files import check_folder

# By verb, the flags that name what is read: files, or folders.
READ = {
    "preprocess": ("--videos",),
    **dict.fromkeys(("train", "train-expert", "train-motion"), ("--shards",)),
    "generate": ("--face", "--speech"),
    "evaluate": ("--videos",),
    "ablate": ("--study",),
    "strangers": ("--faces",),
}
FOLDERS = {"--videos": "name the folder that holds the videos", "--shards": "give the folder that preprocess made"}


def check_named(arguments: Sequence[str]) -> None:
    """Look at what a command line names. All else about it, its spelling too, is for the verb to say.

    Args:
        arguments: the verb, and what was typed after it.

    Raises:
        InputError: the first file or folder that is to be read and is not there.
    """
    flags = READ.get(arguments[0], ()) if arguments and not {"-h", "--help"} & set(arguments) else ()
    for flag, name in _given(arguments[1:]):
        if flag in flags and flag in FOLDERS:
            check_folder(name, FOLDERS[flag])
        elif flag in flags and not os.path.exists(name):
            raise InputError(f"{name}: there is no such file")


def _given(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The flags and each of their values: (--faces, a.jpg), (--faces, b.jpg)."""
    flag = ""
    for argument in arguments:
        if argument.startswith("--"):
            flag, joined, name = argument.partition("=")
            if joined and name:
                yield flag, name
        elif argument:
            yield flag, argument
