import cv2
import numpy as np

from lipgan_colab.training.previews import write_curves, write_picture
from lipgan_colab.training.runs import LOG_FIELDS


def test_a_picture_comes_back_in_its_colours(tmp_path):
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[..., 0] = 200  # red
    write_picture(tmp_path / "new" / "red.png", picture)
    assert (cv2.imread(str(tmp_path / "new" / "red.png"))[..., ::-1] == picture).all()


def test_curves_show_what_the_log_holds(tmp_path):
    log = [
        dict.fromkeys(LOG_FIELDS, "") | {"step": str(n), "l1": str(1 / n), "weighted_l1": str(2 / n)} for n in (1, 2)
    ]
    write_curves(tmp_path / "one.png", log)
    log[1]["learnt_l1"] = "0.5"  # a single point
    write_curves(tmp_path / "lonely.png", log)
    log = [line | {"disc_fake": "0.5", "grad_norm": "1.0"} for line in log]
    write_curves(tmp_path / "three.png", log)
    assert cv2.imread(str(tmp_path / "lonely.png")).shape == cv2.imread(str(tmp_path / "one.png")).shape
    one, three = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("one", "three"))
    assert three.shape[1] == 3 * one.shape[1]
    assert (one != 255).any()
    write_curves(tmp_path / "none.png", [])
    assert (tmp_path / "none.png").exists()
