"""Tier F: whole nodes, `node/app.py` unchanged, on virtual time."""
