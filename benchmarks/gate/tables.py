def tables(a):
    pass
