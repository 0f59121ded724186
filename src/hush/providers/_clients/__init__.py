"""How each vendor is spoken to: one file a wire format."""
