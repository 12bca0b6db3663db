"""Films of old cameras and of television: the two half pictures of each frame become one moment's whole picture."""

from collections import deque
from collections.abc import Iterable, Iterator

import av
from av.filter import Graph

# One frame for each; those that are not said to be interlaced pass as they are. FFmpeg's bwdif does as well, but in
# PyAV 19 the first line of the first frame is not written.
FILTER, SETTINGS = "yadif", "mode=send_frame:parity=auto:deint=interlaced"
LEAST_SIDE = 4  # pixels; smaller frames have nothing to be filtered


def deinterlaced(frames: Iterable[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    """As many frames, with their own times; what comes before the first interlaced one is not touched at all.

    With FFmpeg's yadif: where nothing moves all lines stay as they were, so a film that is wrongly said to be
    interlaced loses next to nothing.
    """
    graph: _Deinterlacer | None = None
    for frame in frames:
        if graph is not None and graph.kind != _kind(frame):  # the size changes on the way
            yield from graph.finished()
            graph = None
        if graph is None and frame.interlaced_frame and min(frame.width, frame.height) >= LEAST_SIDE:
            graph = _Deinterlacer(frame)
        if graph is None:
            yield frame
        else:
            yield from graph.pushed(frame)
    if graph is not None:
        yield from graph.finished()


def _kind(frame: av.VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


class _Deinterlacer:
    """Frames of one kind through FFmpeg's filter. It works one frame late, for it looks at the next one."""

    def __init__(self, frame: av.VideoFrame):
        self.kind = _kind(frame)
        self.stamps: deque = deque()
        self.graph = Graph()
        self.graph.threads = 1
        source = self.graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
        )
        self.graph.link_nodes(source, self.graph.add(FILTER, SETTINGS), self.graph.add("buffersink")).configure()
        self.pushed_so_far = 0

    def pushed(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        self.stamps.append((frame.pts, frame.time_base))
        frame.pts = self.pushed_so_far  # the filter wants stamps, and rising ones
        self.pushed_so_far += 1
        self.graph.push(frame)
        return self._ready()

    def finished(self) -> Iterator[av.VideoFrame]:
        self.graph.push(None)
        return self._ready()

    def _ready(self) -> Iterator[av.VideoFrame]:
        while self.stamps:
            try:
                frame = self.graph.pull()
            except (BlockingIOError, EOFError):
                return
            frame.pts, frame.time_base = self.stamps.popleft()
            yield frame
