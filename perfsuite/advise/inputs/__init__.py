"""What is measured for a user: loaders, data sets and models of their own, and batches of any form."""
