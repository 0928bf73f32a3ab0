import uuid

from hub.lib.api import task


@task
def get_uuid():
    """Returns the id of a new machine."""
    return str(uuid.uuid4())
