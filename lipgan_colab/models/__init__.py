"""Networks, their losses, and weights of all kinds."""
