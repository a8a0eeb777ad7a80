"""The method: one equation, background mode or mask signal a file."""
