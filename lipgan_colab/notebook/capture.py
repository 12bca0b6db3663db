"""Webcam and microphone, on Colab: its notebooks can run JavaScript in the browser and get an answer.

Elsewhere a notebook's kernel cannot ask the browser for anything, and there is no such button.
"""

import base64
import importlib
from pathlib import Path

from lipgan_colab.errors import InputError
from lipgan_colab.files import written_whole

# Each is a promise of a data URL, or of the empty string where the person cancelled.
_FRAME = """
new Promise(async (resolve, reject) => {
  let stream;
  try { stream = await navigator.mediaDevices.getUserMedia(%(wanted)s); } catch (error) { reject(error); return; }
  const box = document.createElement("div");
  box.style.cssText = "padding: 8px; font: 14px sans-serif";
  const button = (label, action) => {
    const made = document.createElement("button");
    made.textContent = label;
    made.style.cssText = "margin: 8px 8px 0 0; padding: 6px 14px";
    made.onclick = action;
    box.appendChild(made);
    return made;
  };
  const finish = (answer) => {
    stream.getTracks().forEach((track) => track.stop());
    box.remove();
    resolve(answer);
  };
  document.body.appendChild(box);
  %(work)s
  button("Cancel", () => finish(""));
  box.scrollIntoView();
  if (window.google && google.colab) google.colab.output.setIframeHeight(document.documentElement.scrollHeight, true);
})
"""
_PHOTO = _FRAME % {
    "wanted": "{video: {width: {ideal: 1280}, height: {ideal: 720}, facingMode: 'user'}}",
    "work": """
  const video = document.createElement("video");
  video.style.cssText = "display: block; max-width: 480px; width: 100%; border-radius: 8px";
  video.muted = true;
  video.srcObject = stream;
  box.appendChild(video);
  await video.play();
  button("Take the photo", () => {
    const canvas = document.createElement("canvas");
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext("2d").drawImage(video, 0, 0);
    finish(canvas.toDataURL("image/jpeg", 0.95));
  });
""",
}
_SPEECH = _FRAME % {
    "wanted": "{audio: true}",
    "work": """
  const recorder = new MediaRecorder(stream), pieces = [];
  recorder.ondataavailable = (event) => pieces.push(event.data);
  recorder.onstop = () => {
    const reader = new FileReader();
    reader.onload = () => finish(reader.result);
    reader.readAsDataURL(new Blob(pieces, {type: recorder.mimeType}));
  };
  recorder.start();
  box.append("Recording: speak now. ");
  button("Done", () => recorder.stop());
""",
}


def take_photo(folder: str | Path) -> Path | None:
    """A photo from the webcam, as webcam.jpg in a folder; None where the person cancelled.

    Raises:
        InputError: there is no webcam, or its use was refused.
    """
    return _recorded(_PHOTO, Path(folder) / "webcam.jpg", "camera")


def record_speech(folder: str | Path) -> Path | None:
    """What is spoken into the microphone, as recording.webm in a folder; None where the person cancelled.

    Raises:
        InputError: there is no microphone, or its use was refused.
    """
    return _recorded(_SPEECH, Path(folder) / "recording.webm", "microphone")


def _recorded(script: str, path: Path, what: str) -> Path | None:
    output = importlib.import_module("google.colab.output")
    try:
        answer = output.eval_js(script)
    except Exception as error:  # Colab has an error class of its own for what JavaScript threw
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"the {what} cannot be used ({reason}); allow it in the browser's address bar, or upload a file"
        ) from error
    if not answer:
        return None
    with written_whole(path) as unfinished:
        unfinished.write_bytes(base64.b64decode(answer.partition(",")[2]))
    return path
