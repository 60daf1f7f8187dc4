"""Names in code that can see more than what it calls: other names, documentation, code objects."""

from __future__ import annotations

# Code that lists what a module or class defines, or computes the code that it runs.
LISTING_WORDS = frozenset(
    {"dir", "vars", "globals", "getmembers", "__dict__", "__subclasses__", "iter_modules", "eval", "exec"}
)
DOCUMENTATION_WORDS = frozenset({"__doc__", "getdoc", "getcomments"})
CODE_WORDS = frozenset({"__code__", "co_code", "getsource", "getsourcelines", "get_instructions", "marshal"})
# Code that takes another way while torch.compile compiles it.
COMPILATION_WORDS = frozenset(
    {"is_compiling", "is_dynamo_compiling", "is_torchdynamo_compiling", "allow_in_graph"}
    | {"substitute_in_graph", "assume_constant_result", "register_backend", "custom_op", "triton_op"}
)
ALL_WORDS = LISTING_WORDS | DOCUMENTATION_WORDS | CODE_WORDS | COMPILATION_WORDS
