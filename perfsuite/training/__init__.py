"""Models, training steps, training runs, distributed training and inference, in PyTorch.

Imports go one way: inference -> run -> step -> distributed -> models, devices.
"""
