import os


def is_elsewhere(path):
    return os.getcwd() == path
