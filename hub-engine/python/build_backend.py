"""Builds the package for pip, without other packages and without the network.

It implements the part of PEP 517 and PEP 660 that installs from a directory.
"""

import base64
import hashlib
import os
import re
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
# The package. hub_tasks is missing: it leads a worker's processes to the task modules.
PACKAGE = "hub"
# Files of other types, such as bytecode, are left out.
ENDINGS = (".py", ".pyi", "py.typed")


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    """Called by pip install."""
    return _write(wheel_directory, _sources())


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    """Called by pip install --editable: Python finds the package in this directory."""
    return _write(wheel_directory, [("hub-task-sdk.pth", HERE + "\n")])


def _project():
    """The texts of pyproject.toml. Python can parse TOML since version 3.11."""
    with open(os.path.join(HERE, "pyproject.toml"), encoding="utf-8") as file:
        return dict(re.findall(r'^([a-z-]+) = "(.*)"$', file.read(), re.MULTILINE))


def _sources():
    found = []
    for directory, _, names in os.walk(os.path.join(HERE, PACKAGE)):
        for name in names:
            if name.endswith(ENDINGS):
                path = os.path.join(directory, name)
                with open(path, encoding="utf-8") as file:
                    found.append((os.path.relpath(path, HERE), file.read()))
    return sorted(found)


def _write(directory, files):
    project = _project()
    name = "%s-%s" % (project["name"].replace("-", "_"), project["version"])
    fields = {"Name": "name", "Version": "version", "Summary": "description", "Requires-Python": "requires-python",
              "License": "license"}
    lines = ["%s: %s\n" % (field, project[key]) for field, key in fields.items()]
    metadata = "Metadata-Version: 2.1\n" + "".join(lines)
    wheel = "Wheel-Version: 1.0\nGenerator: hub\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = files + [(name + ".dist-info/METADATA", metadata), (name + ".dist-info/WHEEL", wheel)]
    record = name + ".dist-info/RECORD"
    lines = ["%s,sha256=%s,%d\n" % (path, _digest(text), len(text.encode("utf-8"))) for path, text in files]
    files.append((record, "".join(lines) + record + ",,\n"))
    file_name = name + "-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, file_name), "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files:
            archive.writestr(path, text)
    return file_name


def _digest(text):
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")
