class Wordless(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def wordless():
    raise Wordless
