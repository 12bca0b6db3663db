"""What can be learnt from: corpora of talking faces, fetched, unpacked, and parts of them drawn."""
