class Splice: ...


def spliceable(path, fps, encoding):
    return None


def splice_video(*a): ...
