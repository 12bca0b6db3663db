"""How good it is: clips generated anew, measured against the truth."""
