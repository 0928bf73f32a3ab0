"""Hub's Python side: what task modules import, and the process that runs them."""
