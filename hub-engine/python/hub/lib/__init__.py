"""The interface for task modules: see hub.lib.api."""
