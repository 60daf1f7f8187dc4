"""Names in code that can see more than what it calls: other names, documentation, code objects."""

from __future__ import annotations

# Code that lists what a module or class defines, finds it by a path, or computes the code that it runs.
LISTING_BUILTINS = frozenset({"dir", "vars", "globals", "locals", "eval", "exec"})
LISTING_NAMES = frozenset(
    {"builtins", "__builtins__", "getmembers", "getmembers_static", "classify_class_attrs", "__dict__"}
    | {"__subclasses__", "iter_modules", "runtime_checkable", "isabstract", "__abstractmethods__"}
    | {"__globals__", "f_globals", "f_locals", "__dir__", "get_objects", "getclosurevars"}
    | {"Mock", "MagicMock", "NonCallableMock", "AsyncMock", "create_autospec", "mock", "pydoc"}
    | {"resolve_name", "entry_points", "EntryPoint", "dictConfig", "fileConfig"}
)
DOCUMENTATION_NAMES = frozenset({"__doc__", "getdoc", "getcomments", "render_doc", "pydoc"})
ANNOTATION_NAMES = frozenset(
    {"__annotations__", "__annotate__", "annotationlib", "get_annotations", "get_type_hints"}
    | {"get_overloads", "signature", "getfullargspec", "singledispatch", "dataclass", "make_dataclass"}
    | {"Signature", "from_callable", "singledispatchmethod", "script", "infer_schema", "validate_call"}
    | {"beartype", "typechecked", "jaxtyped"}
)
CODE_NAMES = frozenset({"__code__", "co_code", "getsource", "getsourcelines", "get_instructions", "marshal"})
# Code that takes another way while torch.compile compiles it.
COMPILATION_NAMES = frozenset(
    {"is_compiling", "is_dynamo_compiling", "is_torchdynamo_compiling", "allow_in_graph"}
    | {"substitute_in_graph", "assume_constant_result", "register_backend", "custom_op", "triton_op"}
)
ALL_NAMES = frozenset().union(
    LISTING_BUILTINS,
    LISTING_NAMES,
    DOCUMENTATION_NAMES,
    ANNOTATION_NAMES,
    CODE_NAMES,
    COMPILATION_NAMES,
)
