"""The masked Paillier sum: one vector from each holder in, the sum alone out. See `params` first."""
