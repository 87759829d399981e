"""The `lattice` command. Modules are imported by the command that needs them, so that `--help` stays quick."""
