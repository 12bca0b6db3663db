"""The training loop, its runs, checkpoints, and their way to Drive."""
