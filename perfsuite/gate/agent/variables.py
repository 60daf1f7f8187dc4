"""Environment variables that the gate sets for the processes it starts, and those that torch sets in them."""

GATE_SOCKET_VARIABLE = "PERFSUITE_GATE_SOCKET"  # file descriptor of a side's socket to the gate
FORK_SOCKET_VARIABLE = "PERFSUITE_GATE_FORK_SOCKET"  # file descriptor of the fork server's socket to the gate
ROOT_VARIABLE = "PERFSUITE_GATE_ROOT"  # the root of this side's worktree
REPOSITORY_VARIABLE = "PERFSUITE_GATE_REPOSITORY"  # the root of the user's own checkout
PACKAGES_VARIABLE = "PERFSUITE_GATE_PACKAGES"  # the project's own packages, which must come from that root
SIDE_VARIABLE = "PERFSUITE_GATE_SIDE"  # base or head
# The base of tmp_path: pytest would leave the folders of a killed process in place for days.
SCRATCH_VARIABLE = "PERFSUITE_GATE_SCRATCH"
# A folder that holds perfsuite, for counting in an environment that lacks it.
PERFSUITE_PATH_VARIABLE = "PERFSUITE_GATE_PERFSUITE_PATH"
# A file that asks for a recording of what this side's process runs and reads.
RECORDING_VARIABLE = "PERFSUITE_GATE_RECORDING"

# torch.compile sets these where the project does not: two folders, and an address of its library.
TORCH_ADDRESS_VARIABLE = "_TORCHINDUCTOR_PYOBJECT_TENSOR_DATA_PTR"
SET_BY_TORCH = frozenset({"TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", TORCH_ADDRESS_VARIABLE})
