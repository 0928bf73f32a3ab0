import uuid

from hub.lib.api import task


@task
def get_uuid():
    """An id for a new machine."""
    return str(uuid.uuid4())
