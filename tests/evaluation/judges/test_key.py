"""A key is read as it was written; what is none is refused."""

import json

import pytest
from simulated import made_key

from lipgan_colab.errors import InputError
from lipgan_colab.evaluation.judges.key import read_key, write_key


@pytest.mark.parametrize("method", ["pairs", "scale"])
def test_written_and_read_it_is_the_same(tmp_path, method):
    key = made_key(("ours", "thëirs <b>"), method=method)
    write_key(tmp_path / "key.json", key)
    assert read_key(tmp_path) == read_key(tmp_path / "key.json") == key


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"format": "x"}, "its format is 'x'"),
        ({"method": "stars"}, "it asks for 'stars', which this version does not know"),
        ({"questions": ["taste"]}, "it asks for 'taste', which"),
        ({"films": {}}, "it shows films that it does not list"),
        ({"forms": []}, "it shows films"),
        ({"forms": None}, "this is no study's key"),
        ({"films": {"a": {"clip": "b"}}}, "this is no study's key"),
    ],
)
def test_what_is_no_key_is_refused(tmp_path, change, line):
    write_key(tmp_path / "key.json", made_key())
    told = json.loads((tmp_path / "key.json").read_text())
    (tmp_path / "key.json").write_text(json.dumps(told | change))
    with pytest.raises(InputError, match=line):
        read_key(tmp_path)
    (tmp_path / "key.json").write_text("{")
    with pytest.raises(InputError, match="this is no study's key"):
        read_key(tmp_path)
