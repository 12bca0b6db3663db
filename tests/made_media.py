"""Films and sounds made for the tests: a flash and a click at known times, and files with time stamps of our own."""

from fractions import Fraction

import av
import numpy as np

from lipgan_colab.media.timeline import SAMPLE_RATE

FLASH = 20  # frame number


def clicking_speech(seconds, at, rate=SAMPLE_RATE):
    """Silence with 10 ms of tone from `at` s on."""
    wave = np.zeros(round(seconds * rate), np.float32)
    start, length = round(at * rate), rate // 100
    wave[start : start + length] = 0.9 * np.sin(0.6 * np.arange(length))
    return wave


def click(wave, rate=SAMPLE_RATE):
    """The time in s at which the 10 ms of tone begin."""
    return int(np.convolve(wave**2, np.ones(rate // 100), "valid").argmax()) / rate


def flashing_frames(n=40, size=(48, 64), at=FLASH):
    return [np.full((*size, 3), 255 if k == at else 40, np.uint8) for k in range(n)]


def flash(frames):
    return int(np.argmax([frame.mean() for frame in frames]))


def mux(path, frames=(), frame_times=(), pieces=(), rate=SAMPLE_RATE, layout="mono", sound_codec="pcm_s16le"):
    """A file with time stamps of our own. pieces: (start in s, int16 (channels, n))."""
    with av.open(str(path), "w") as container:
        if len(frames):
            picture = container.add_stream("libx264", rate=25, options={"bf": "0"})
            picture.height, picture.width, picture.pix_fmt = *frames[0].shape[:2], "yuv420p"
            picture.codec_context.time_base = Fraction(1, 1000)
        if pieces:
            sound = container.add_stream(sound_codec, rate=rate, layout=layout)
        packets = []
        for time, rgb in zip(frame_times, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            packets += picture.encode(frame)
        packets += picture.encode(None) if len(frames) else []
        for start, samples in pieces:
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples.T).reshape(1, -1), format="s16", layout=layout
            )
            frame.sample_rate, frame.pts, frame.time_base = rate, round(start * rate), Fraction(1, rate)
            packets += sound.encode(frame)
        packets += sound.encode(None) if pieces else []
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)


def as_int16(wave):
    return (np.atleast_2d(wave) * 32767).astype(np.int16)


def encode(path, frames, codec, pix_fmt, *, source="rgb24", fps=25, options=None, matrix=None, **tags):
    """A film. source: the format of `frames`; matrix: how its YUV is made; tags: of its codec, such as color_trc."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], pix_fmt
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        for n, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format=source)
            frame = frame.reformat(format=pix_fmt, dst_colorspace=matrix)
            frame.pts, frame.time_base = n, 1 / Fraction(fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
