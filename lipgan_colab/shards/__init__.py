"""Videos become shards, and shards become samples."""
