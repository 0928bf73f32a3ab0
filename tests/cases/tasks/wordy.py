def wordy(length):
    raise ValueError("x" * length)
