"""node/folders."""
