"""`eight` is a project of its own that the gate is proven on; its tests are none of ours."""

collect_ignore = ["eight"]
