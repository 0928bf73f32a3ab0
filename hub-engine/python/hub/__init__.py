"""The Python part of Hub: the interface for task modules, and the process that runs them."""
