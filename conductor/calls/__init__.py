"""What a conductor can be asked over the bus besides the verbs: a file per noun, and the
endpoint that has them all.
"""
