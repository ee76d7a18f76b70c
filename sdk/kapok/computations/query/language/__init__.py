"""How a question is written: text to tree and back."""
