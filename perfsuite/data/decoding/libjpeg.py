"""Call the installed libjpeg-turbo (of Pillow's wheel, or the system's) without a C compiler.

libjpeg reports a fatal error by calling `error_exit`, which must not return. A C program leaves it by
longjmp. Here LLVM compiles the few functions for that, so that a damaged file gives an error code and does
not end the process.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The public structs of jpeglib.h in libjpeg-turbo's ABI 62 on 64-bit machines, in bytes.
# jpeg_CreateDecompress compares the size with its own and refuses another layout.
ABI_VERSION = 62
DECOMPRESS_STRUCT_BYTES = 632
CLIENT_DATA_OFFSET = 24
GLOBAL_STATE_OFFSET = 36
DSTATE_START = 200
NUM_WARNINGS_OFFSET = 128
STRUCT_BUFFER_BYTES = 2048
ERROR_MANAGER_OFFSET = 1024

# Their addresses go to region_kernels, which names them in this order.
FUNCTIONS = (
    "jpeg_mem_src",
    "jpeg_read_header",
    "jpeg_start_decompress",
    "jpeg_crop_scanline",
    "jpeg_skip_scanlines",
    "jpeg_read_scanlines",
    "jpeg_destroy_decompress",
    "jpeg_CreateDecompress",
    "jpeg_has_multiple_scans",
    "memchr",  # of the C library, which libjpeg is linked to
)
# In a narrower region, libjpeg's chroma upsampling lacks neighboring columns.
MIN_REGION_WIDTH = 64
JMP_BUF_BYTES = 512  # glibc needs 200 on x86-64 and 312 on aarch64


@dataclass(frozen=True, slots=True)
class JpegLibrary:
    """Addresses of libjpeg's functions. `guarded(call, struct, job)` returns -1 after a fatal error."""

    path: str
    handle: Any  # keeps the library and the compiled guard alive
    functions: NDArray[np.int64]
    guarded: int
    on_error: int
    on_message: int


_find_lock = threading.Lock()


def find_jpeg_library() -> JpegLibrary | None:
    """Find the first libjpeg-turbo that can crop; None without one, or without LLVM."""
    # LLVM must not compile in two threads at once, and a second library must not replace one in use.
    with _find_lock:
        return _find_first_usable()


@cache
def _find_first_usable() -> JpegLibrary | None:
    try:
        guard, guard_addresses = _compile_guard()
    except (ImportError, RuntimeError):
        return None
    for path in _candidate_paths():
        try:
            handle = ctypes.CDLL(path)
            function_addresses = [
                ctypes.cast(getattr(handle, name), ctypes.c_void_p).value for name in FUNCTIONS
            ]
        except (OSError, AttributeError):
            continue
        functions = np.array(function_addresses, np.int64)
        candidate = JpegLibrary(path, (handle, guard), functions, *guard_addresses)
        try:
            Decompressor(candidate)
        except OSError:
            continue
        return candidate
    return None


def _candidate_paths() -> Iterator[str]:
    import PIL

    package = Path(PIL.__file__).parent
    for folder in (package.parent / "pillow.libs", package / ".dylibs"):
        yield from (str(path) for path in sorted(folder.glob("libjpeg*")))
    yield from ("libjpeg.so.62", "libjpeg.62.dylib")


class Decompressor:
    """One libjpeg decompression object with its error manager; used by one thread, for many images."""

    def __init__(self, library: JpegLibrary) -> None:
        self.memory = np.zeros(STRUCT_BUFFER_BYTES, np.uint8)
        self.address = int(self.memory.ctypes.data)
        manager = self.address + ERROR_MANAGER_OFFSET
        handle = library.handle[0]
        handle.jpeg_std_error(ctypes.c_void_p(manager))
        # The first two fields are error_exit and emit_message.
        self._words(ERROR_MANAGER_OFFSET)[:2] = (library.on_error, library.on_message)
        self._words(0)[0] = manager
        self._warned = self._words(ERROR_MANAGER_OFFSET + NUM_WARNINGS_OFFSET)[:1]
        create = ctypes.cast(handle.jpeg_CreateDecompress, ctypes.c_void_p).value
        call_guarded = ctypes.CFUNCTYPE(ctypes.c_int, *[ctypes.c_int64] * 4)(library.guarded)
        call_guarded(create, self.address, ABI_VERSION, DECOMPRESS_STRUCT_BYTES)
        self._library = library  # keeps the hooks that this struct calls alive
        self._destroy = handle.jpeg_destroy_decompress
        if self.memory[GLOBAL_STATE_OFFSET : GLOBAL_STATE_OFFSET + 4].view(np.int32)[0] != DSTATE_START:
            raise OSError(
                f"{library.path}: another jpeg_decompress_struct, expected {DECOMPRESS_STRUCT_BYTES} bytes"
            )

    def _words(self, at: int) -> NDArray[np.int64]:
        return self.memory[at : at + 64].view(np.int64)

    @property
    def warnings(self) -> int:
        return int(self._warned[0])

    def __del__(self) -> None:
        destroy = getattr(self, "_destroy", None)
        if destroy is not None:
            destroy(ctypes.c_void_p(self.address))


def _compile_guard() -> tuple[Any, tuple[int, int, int]]:
    """Compile `guarded`, `on_error` and `on_message`; the engine must outlive their addresses."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    module = binding.parse_assembly(str(_build_guard_module()))
    module.verify()
    machine = binding.Target.from_default_triple().create_target_machine(jit=True)
    engine = binding.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    names = ("guarded", "on_error", "on_message")
    guarded, on_error, on_message = (int(engine.get_function_address(name)) for name in names)
    return engine, (guarded, on_error, on_message)


def _build_guard_module() -> Any:
    from llvmlite import ir

    byte, word, long = ir.IntType(8), ir.IntType(32), ir.IntType(64)
    module = ir.Module("libjpeg_guard")
    set_jump = ir.Function(module, ir.FunctionType(word, [byte.as_pointer()]), "_setjmp")
    set_jump.attributes.add("returns_twice")
    jump = ir.Function(module, ir.FunctionType(ir.VoidType(), [byte.as_pointer(), word]), "longjmp")
    jump.attributes.add("noreturn")

    def at(builder: Any, address: Any, offset: int, kind: Any) -> Any:
        return builder.inttoptr(builder.add(address, long(offset)), kind.as_pointer())

    # int guarded(call, struct, a, b): struct->client_data = buffer; setjmp(buffer) ? -1 : call(struct, a, b)
    guarded = ir.Function(module, ir.FunctionType(word, [long] * 4), "guarded")
    call, struct, first, second = guarded.args
    builder = ir.IRBuilder(guarded.append_basic_block())
    buffer = builder.alloca(ir.ArrayType(byte, JMP_BUF_BYTES))
    buffer.align = 64
    builder.store(builder.ptrtoint(buffer, long), at(builder, struct, CLIENT_DATA_OFFSET, long))
    jumped = builder.call(set_jump, [builder.bitcast(buffer, byte.as_pointer())])
    with builder.if_then(builder.icmp_signed("!=", jumped, word(0))):
        builder.ret(word(-1))
    target = builder.inttoptr(call, ir.FunctionType(word, [long] * 3).as_pointer())
    builder.ret(builder.call(target, [struct, first, second]))

    # void on_error(struct): longjmp(struct->client_data, 1)
    on_error = ir.Function(module, ir.FunctionType(ir.VoidType(), [long]), "on_error")
    builder = ir.IRBuilder(on_error.append_basic_block())
    saved = builder.load(at(builder, on_error.args[0], CLIENT_DATA_OFFSET, long))
    builder.call(jump, [builder.inttoptr(saved, byte.as_pointer()), word(1)])
    builder.unreachable()

    # void on_message(struct, level): level < 0 ? ++struct->err->num_warnings : nothing; never printed
    on_message = ir.Function(module, ir.FunctionType(ir.VoidType(), [long, word]), "on_message")
    builder = ir.IRBuilder(on_message.append_basic_block())
    with builder.if_then(builder.icmp_signed("<", on_message.args[1], word(0))):
        manager = builder.load(at(builder, on_message.args[0], 0, long))
        count = at(builder, manager, NUM_WARNINGS_OFFSET, long)
        builder.store(builder.add(builder.load(count), long(1)), count)
    builder.ret_void()
    return module
