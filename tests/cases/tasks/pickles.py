import pickle


class Point:
    def __init__(self, x):
        self.x = x


def pickles(x):
    return pickle.loads(pickle.dumps(Point(x))).x
