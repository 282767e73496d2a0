"""The generator: spectra of stars from labels, by an auto-encoder's decoder.

The modules in the order data meets them:

`labels`        the labels, their box and its holes
`grid`          computes the grid of syntheses
`emulator`      spectra between its nodes
`observe`       rotation, resolution and the paper's pixels
`examples`      the training set, in principal components
`net`           the nets and their sizes
`fit`           an optimiser with checkpoints
`train`         the four trainings
`network_file`  the graphs, and their reference in float64
`evaluate`      reconstruction and closure
`folder`        the model folder, and `card` its card
`pipeline`      the steps from the grid to the figures, and `cli` their command line
"""
