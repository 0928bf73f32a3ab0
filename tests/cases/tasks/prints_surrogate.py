import os


def prints_surrogate():
    print(os.fsdecode(b"caf\xe9"))
    return 1
