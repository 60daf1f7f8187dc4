"""Other libraries that load images, one file each: the same crops, sizes and float32 output as ours."""
