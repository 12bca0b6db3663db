"""google.colab.userdata: the secrets of secrets.json."""

import json
import os
from pathlib import Path


class SecretNotFoundError(Exception):
    """There is no such secret."""


class NotebookAccessError(Exception):
    """The person did not allow this notebook to read it."""


def get(key: str) -> str:
    """A secret's value."""
    path = Path(os.environ["COLAB_STAND_IN"]) / "secrets.json"
    secrets = json.loads(path.read_text()) if path.exists() else {}
    if key not in secrets:
        raise SecretNotFoundError(f"Secret {key} does not exist.")
    if secrets[key] is None:
        raise NotebookAccessError(f"Notebook does not have access to secret {key}")
    return secrets[key]
