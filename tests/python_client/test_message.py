"""The reader of answers: complete answers in parts of any size, and answers that no server should send."""

import unittest

from hub.client.events import EventReader
from hub.client.message import AnswerReader, BadAnswer, Deadline, Lost

HEAD = b"HTTP/1.1 200 OK\r\n"


def read(data, size=None, end=False, limit=1000):
    """Reads an answer in parts of this size."""
    reader, body = AnswerReader(limit), b""
    for at in range(0, len(data), size or len(data)):
        body += reader.feed(data[at : at + (size or len(data))])
    if end:
        body += reader.feed(b"")
    return reader, body


class Answers(unittest.TestCase):
    def test_parts_of_any_size(self):
        cases = [
            (HEAD + b"Content-Length: 5\r\n\r\nhello", False, True),
            (HEAD + b"content-length:5\r\nConnection: Close\r\n\r\nhello", False, False),
            (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nTrailer: 1\r\n\r\n", False, True),
            (HEAD + b"\r\nhello", True, False),
            (b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Content-Length: 5\r\n\r\nhello", False, True),
            (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", False, False),
        ]
        for data, end, can_reuse in cases:
            for size in (1, 2, 3, 7, None):
                reader, body = read(data, size, end)
                self.assertEqual((reader.status, body, reader.is_complete, reader.can_reuse), (200, b"hello", True, can_reuse))

    def test_what_follows_an_answer_ends_the_connection(self):
        reader, body = read(HEAD + b"Content-Length: 2\r\n\r\nhello")
        self.assertEqual((body, reader.is_complete, reader.can_reuse), (b"he", True, False))

    def test_answers_without_a_body(self):
        self.assertTrue(read(b"HTTP/1.1 204 No\r\n\r\n")[0].can_reuse)
        self.assertTrue(read(HEAD + b"Content-Length: 0\r\n\r\n")[0].can_reuse)

    def test_hostile_answers(self):
        cases = [
            b"SSH-2.0-OpenSSH\r\n", b"HTTP/2 200\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 20\xb2\r\n\r\n", b"\r\n\r\n",
            HEAD + b"Content-Length: -1\r\n\r\n", HEAD + b"Content-Length: 1_0\r\n\r\n", HEAD + b"Content-Length: 1001\r\n\r\n",
            HEAD + b"Content-Length: " + b"9" * 100 + b"\r\n\r\n", HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
            HEAD + b"no colon\r\n\r\n", HEAD + b" folded: x\r\n\r\n", HEAD + b"Content-Encoding: gzip\r\n\r\n",
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 2000,
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001, HEAD + b"\r\n" + b"x" * 1001,
            HEAD + b"X: " + b"x" * 70_000, HEAD + b"X: x\r\n" * 20_000,
        ]
        for data in cases:
            for size in (None, 1 if len(data) < 5_000 else 1000):
                with self.assertRaises(BadAnswer, msg=data[:60]):
                    read(data, size)

    def test_an_answer_that_ends_early(self):
        for data in [HEAD, HEAD + b"Content-Length: 5\r\n\r\nhell", HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"]:
            with self.assertRaises(Lost):
                read(data, end=True)


class Deadlines(unittest.TestCase):
    def test_a_slow_answer_ends_and_a_large_one_has_more_time(self):
        now = 0.0
        deadline = Deadline(10.0, lambda: now)
        deadline.extend(8192 * 5)
        now = 14.0
        self.assertEqual(deadline.left(), 1.0)
        now = 15.0
        with self.assertRaises(TimeoutError):
            deadline.left()


class Events(unittest.TestCase):
    def test_events_in_parts_of_any_size(self):
        data = (
            b': hello\nid: 6\n\nid: 7\nevent: job\ndata: {"id":"\xc3\xa9"}\n\n'
            b"id: 8\nevent: reset\ndata: {}\n\nevent: x\ndata: [\n\n"
        )
        for size in (1, 2, 5, len(data)):
            reader, events = EventReader(None), []
            for at in range(0, len(data), size):
                events += reader.feed(data[at : at + size])
            self.assertEqual(events, [("job", {"id": "é"}, 7), ("reset", {}, 8), ("x", {}, 8)])
            self.assertEqual(reader.last, 8)


if __name__ == "__main__":
    unittest.main()
