"""What the person at the keyboard can put right."""


class Problem(Exception):
    """Something the user asked for cannot be done; the text is the one line they get to see."""
