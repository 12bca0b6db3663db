"""Who is seen: faces found, followed and cropped."""
