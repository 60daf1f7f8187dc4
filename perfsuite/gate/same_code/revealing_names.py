"""Names in code that can see more than what it calls: other names, documentation, code objects."""

from __future__ import annotations

# Code that lists what a module or class defines, or computes the code that it runs.
LISTING_NAMES = frozenset(
    {"dir", "vars", "globals", "getmembers", "__dict__", "__subclasses__", "iter_modules", "eval", "exec"}
)
DOCUMENTATION_NAMES = frozenset({"__doc__", "getdoc", "getcomments"})
CODE_NAMES = frozenset({"__code__", "co_code", "getsource", "getsourcelines", "get_instructions", "marshal"})
# Code that takes another way while torch.compile compiles it.
COMPILATION_NAMES = frozenset(
    {"is_compiling", "is_dynamo_compiling", "is_torchdynamo_compiling", "allow_in_graph"}
    | {"substitute_in_graph", "assume_constant_result", "register_backend", "custom_op", "triton_op"}
)
ALL_NAMES = LISTING_NAMES | DOCUMENTATION_NAMES | CODE_NAMES | COMPILATION_NAMES
