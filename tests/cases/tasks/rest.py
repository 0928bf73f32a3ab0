import time


def rest(seconds):
    time.sleep(seconds)
    return "rested"
