"""Those who push: each opens its client, then gives a function that pushes the job's image.

What is slow in a peer is left to it; what is not its business (reading files) is done for it, and done well.
"""
