"""A face and a speech clip become a video."""
