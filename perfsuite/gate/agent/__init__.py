"""What runs in the pytest process of a side: copied into its import path as `_perfsuite_agent`.

A side may have no perfsuite, or another version of it, and must not import this one. So modules here import
each other relatively, and otherwise the standard library and pytest alone; `optional` finds the rest at run
time. Two things are written twice on purpose: the clock of stages (`measure/stage_clock.py`) and the scope
`COMMON` of recordings (`gate/same_code/recording.py`). The gate imports `variables` from here.
"""
