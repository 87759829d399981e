"""Folders: projecting a space's tree onto a directory, and a directory's changes into the space."""
