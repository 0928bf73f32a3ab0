import functools


def _add(a, b):
    return a + b


one_more = functools.partial(_add, 1)
