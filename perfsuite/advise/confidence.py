"""The level of every interval in this folder."""

LEVEL = 0.99  # of one interval, so that those of five settings hold together with 95 %
MIN_BLOCKS = 8  # the fewest whose median has an interval at that level
