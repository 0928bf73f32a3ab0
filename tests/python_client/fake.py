"""A server that gives scripted answers, as bytes, so that it can do what no Hub does."""

import json
import socket
import threading
import unittest


def answer(value, status=200, headers=()):
    """The bytes of a complete answer."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    lines = ["HTTP/1.1 %d X" % status, "Content-Length: %d" % len(body), *("%s: %s" % header for header in headers)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def refusal(status, kind, headers=(), **more):
    return answer({"kind": kind, "message": "refused", **more}, status, headers)


class Close:
    """Sends these bytes and closes the connection."""

    def __init__(self, data=b""):
        self.data = data


class Hold:
    """Sends these bytes, and keeps the connection open until the test ends."""

    def __init__(self, data=b""):
        self.data = data


class Drip:
    """Sends one byte after the other until the client leaves."""

    def __init__(self, data):
        self.data = data


class Request:
    def __init__(self, method, target, headers, body, connection):
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        # The number of the connection.
        self.connection = connection

    def __repr__(self):
        return "%s %s" % (self.method, self.target)


class FakeServer:
    """Gives the answers of the script in turn, or lets a function answer each request."""

    def __init__(self, script):
        self._script = script if callable(script) else iter(script)
        self._lock = threading.Lock()
        self.requests = []
        self.ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._connections = []
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        if self.ended.is_set():
            return
        self.ended.set()
        # close() alone does not wake a thread in accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            connection.close()

    def _accept(self):
        while not self.ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            number = len(self._connections)
            threading.Thread(target=self._serve, args=(connection, number), daemon=True).start()

    def _serve(self, connection, number):
        with connection:
            file = connection.makefile("rb")
            while True:
                try:
                    request = self._read(file, number)
                    if request is None or not self._answer(connection, request):
                        return
                except (OSError, ValueError):
                    return

    def _read(self, file, number):
        line = file.readline().decode()
        if not line.strip():
            return None
        method, target, _ = line.split(" ", 2)
        headers = {}
        while True:
            name, _, value = file.readline().decode().strip().partition(": ")
            if not name:
                break
            headers[name.lower()] = value
        return Request(method, target, headers, file.read(int(headers.get("content-length", 0))), number)

    def _answer(self, connection, request):
        """Returns whether the connection goes on."""
        with self._lock:
            self.requests.append(request)
            given = self._script(request) if callable(self._script) else next(self._script, Close())
        if isinstance(given, bytes):
            connection.sendall(given)
            return True
        if isinstance(given, Drip):
            for byte in given.data:
                connection.sendall(bytes([byte]))
                if self.ended.wait(0.01):
                    return False
            return False
        connection.sendall(given.data)
        if isinstance(given, Hold):
            self.ended.wait()
        return False


class FakeServerTest(unittest.TestCase):
    """A test with fake servers, which are closed at its end."""

    def serve(self, *script):
        server = FakeServer(script[0] if len(script) == 1 and callable(script[0]) else script)
        self.addCleanup(server.close)
        return server
