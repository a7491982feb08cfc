"""What is recorded of what a device is asked, and done again: the same calls with the same arrays."""


class Recorder:
    """Calls are done at once, or, while something is recorded, written down."""

    def __init__(self):
        self.calls = None

    def do(self, function, *arguments):
        """Do it, or write it down."""
        if self.calls is None:
            function(*arguments)
        else:
            self.calls.append((function, arguments))

    def refuse(self, what):
        """RuntimeError while something is recorded: a GPU would refuse it, or do it once and not again."""
        if self.calls is not None:
            raise RuntimeError(f"{what} while a graph is recorded")

    def record(self, function):
        """The calls of ``function``, to be done again; they are done once before, as on a GPU."""
        function()
        self.calls = calls = []
        try:
            function()
        finally:
            self.calls = None

        def replay():
            self.refuse("a recording is replayed")
            for call, arguments in calls:
                self.do(call, *arguments)

        return replay
