import sys


def no_stdout():
    sys.stdout = None
    return 1
