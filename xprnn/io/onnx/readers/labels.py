"""What an axis of a value means."""

BATCH = "batch"
TIME = "time"
INNER = "inner"  # steps within a step
SIDE = "side"  # the directions of a recurrent operator, or those of several
FEATURE = "feature"
ONE = "one"  # an axis of one entry that means nothing
