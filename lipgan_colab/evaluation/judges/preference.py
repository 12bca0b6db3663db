"""draft"""
import numpy as np
from lipgan_colab.evaluation.judges.crossed import SURE, Spread, spread

def share_of(wins, counts, sure=SURE):
    answers = counts.sum(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = wins.sum(axis=(-2, -1)) / answers
    single = share * (1 - share)
    deviations = (wins - share[..., None, None] * counts)
    s = spread(np.nan_to_num(deviations), counts > 0, np.nan_to_num(single * answers))
    return share, answers, single, s
