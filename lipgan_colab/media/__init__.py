"""Films, sound and pictures, read and written."""
