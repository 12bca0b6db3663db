"""How likely somebody speaks: what Silero VAD's own code says."""

import numpy as np
import torch

from lipgan_colab.media.sound import read_speech
from lipgan_colab.speech import voice_activity
from lipgan_colab.speech.voice_activity import CHUNK, speech_probability


def test_it_is_what_the_networks_own_code_says(shared, monkeypatch):
    threads = torch.get_num_threads()
    from silero_vad import load_silero_vad  # leaves PyTorch one thread

    torch.set_num_threads(threads)
    monkeypatch.setattr(voice_activity, "AT_ONCE", 100)  # chunks are taken in several pieces
    wave = read_speech(shared / "data" / "speech" / "jfk_long_pauses.wav")[: 150 * CHUNK]
    with torch.no_grad():
        expected = load_silero_vad().audio_forward(torch.from_numpy(wave)[None], sr=16_000)[0].numpy()
    found = speech_probability(wave)
    assert found.dtype == np.float32 and np.ptp(found) > 0.9
    assert np.abs(found - expected).max() < 1e-4


def test_the_last_chunk_may_be_short_and_the_sound_empty():
    assert speech_probability(np.zeros(CHUNK + 1, np.float32)).shape == (2,)
    assert speech_probability(np.zeros(0, np.float32)).shape == (1,)
