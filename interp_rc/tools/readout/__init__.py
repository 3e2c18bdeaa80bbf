"""What the stream says on its way: lenses and attention."""
