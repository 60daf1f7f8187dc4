"""What a commit plants in the workloads; the stage rewrites this file."""

UNITS = 0  # more units of work, in hundredths
ITEM = False
LAUNCH = False
COPY = False
