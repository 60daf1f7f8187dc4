"""Counters: exact counts of what one call did. One file per family; `registry` finds them."""
