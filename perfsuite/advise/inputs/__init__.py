"""What is measured for a user: their loaders, data sets and models, and batches of any form."""
