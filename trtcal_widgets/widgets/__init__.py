"""Views over a session for Jupyter: they hold no numerics, and each is given what it shows."""
