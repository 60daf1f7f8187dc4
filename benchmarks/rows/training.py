"""Rows on training and inference."""

from __future__ import annotations

from benchmarks.rows.commands import CLAIMS
from benchmarks.rows.row import Row

ROWS = (
    Row(
        id="E1",
        what="workers by CPU count",
        command='python -c "from perfsuite.data.loaders import default_num_workers; '
        "print(default_num_workers(), 'workers')\"",
        figure=r"\d+ workers",
    ),
    Row(
        id="E2",
        what="torch.compile",
        command=CLAIMS,
        figure=r"^\| torch.compile (trains|predicts) [\d.]+x \| [\d.]+x .*",
    ),
    Row(
        id="E3",
        what="AMP",
        command=CLAIMS,
        figure=r"^\| AMP (trains|halves) .* \| [\d.]+x.*",
        gpu_part="GradScaler with fp16",
    ),
    Row(
        id="E4",
        what="gradient accumulation",
        command="perfsuite train --data-dir images --image-size 64 --gradient-accumulation-steps 4 "
        "--epochs 1 --model-path accumulated.pth --quiet",
        figure=r"test accuracy .*",
    ),
    Row(
        id="E5",
        what="model cache, latency of one image",
        command="perfsuite predict --model-path m.pth --repeat 50 images/class_00/000000.jpg",
        figure=r".*p50.*",
    ),
    Row(
        id="E6",
        what="letterbox and its inverse",
        command='python -c "import numpy as np; from perfsuite.transforms.letterbox import Letterbox; '
        "frame, place = Letterbox(640, 640)(np.zeros((720, 1280, 3), np.uint8)); print('letterbox', "
        "frame.shape, 'corner', frame[0, 0].tolist(), 'back', (place.backward @ [640, 320, 1]).tolist())\"",
        figure=r"letterbox.*",
    ),
    Row(
        id="E7",
        what="baseline, loading, compile, AMP, all combined",
        command=CLAIMS,
        figure=r"^\| (baseline|loading|all combined|all combined train .*) \| [\d,.]+x? .*",
        max_figures=6,
        gpu_part="memory of the device",
    ),
    Row(
        id="E8",
        what="command line: train",
        command="perfsuite train --mode train --data-dir images --batch-size 32 --epochs 1 --image-size 64 "
        "--gradient-accumulation-steps 2 --model-path e8.pth --quiet",
        figure=r"test accuracy .*",
    ),
    Row(
        id="E9",
        what="MLflow",
        command="python -c \"from perfsuite.cli import main; main(['train', '--data-dir', 'images', "
        "'--image-size', '64', '--epochs', '1', '--model-path', 'e9.pth', '--quiet', '--mlflow']); "
        "from mlflow import MlflowClient; client = MlflowClient('sqlite:///mlflow.db'); "
        "run = client.search_runs([client.get_experiment_by_name('perfsuite').experiment_id])[0]; "
        "print('logged:', run.info.status, run.data.params); print('logged:', run.data.metrics)\"",
        figure=r"^logged: .*",
        package="mlflow",
    ),
    Row(id="E10", what="advice by kind of GPU", command=CLAIMS, figure=r"^- (here|a small|a large).*"),
    Row(
        id="E11",
        what="peak device memory",
        command=CLAIMS,
        figure=r"^\| (AMP halves|all combined halve) the memory \| [\d.]+x.*",
        is_gpu_only=True,
    ),
)
