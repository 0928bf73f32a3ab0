import os


def change_directory(path):
    before = os.getcwd()
    os.chdir(path)
    return before != os.getcwd()
