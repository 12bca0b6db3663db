"""People as judges: a blind study of films that is one page, and what its answers tell."""
