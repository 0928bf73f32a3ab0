from ._number import NUMBER


def relative():
    return NUMBER
