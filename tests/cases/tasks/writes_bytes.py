import sys


def writes_bytes():
    sys.stdout.reconfigure(line_buffering=False)
    return sys.stdout.buffer.write(b"bytes\n")
