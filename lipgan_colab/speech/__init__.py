"""What is heard: speech features, pauses, and whether lips and sound belong together."""
