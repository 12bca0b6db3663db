"""What the notebooks show: widgets, and what their cells call."""
