"""Executes the examples of docs/python-client.md, one after the other, and compares what they print."""

import contextlib
import io
import os
import pathlib
import re
import unittest

URL = os.environ.get("HUB_TEST_URL")
PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs/python-client.md"


class Page(unittest.TestCase):
    @unittest.skipUnless(URL, "HUB_TEST_URL is not set")
    def test_the_examples_print_what_the_page_says(self):
        blocks = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        names = {"__name__": "page"}
        count = 0
        for at, (language, text) in enumerate(blocks):
            if language != "python":
                continue
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(text.replace("http://127.0.0.1:8420", URL), str(PAGE), "exec"), names)
            expected = blocks[at + 1][1] if blocks[at + 1][0] == "text" else ""
            self.assertEqual(printed.getvalue(), expected)
            count += 1
        self.assertGreater(count, 4)


if __name__ == "__main__":
    unittest.main()
