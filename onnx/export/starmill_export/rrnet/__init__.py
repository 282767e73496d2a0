"""RRNet and SPEMR: seventeen labels from LAMOST's medium-resolution spectra.

The modules in the order data meets them:

`labels`         the labels, and the regions of SPEMR
`line_lists`     atomic and molecular lines for SYNSPEC
`grid`           computes the grid of syntheses
`syntheses`      reads it
`emulator`       normalised flux of any label
`observe`        what lies between a star and a spectrum of the survey
`batch_prepare`  the recipe, on many spectra at once
`examples`       the training set
`net`            the nets, their sizes and the reference forward pass
`schedule`       rates, epochs and noise
`fit`            training, with checkpoints
`ensemble`       what members say together, and the fusion of regions
`calibration`    sigma scaled to the scatter of residuals
`network_file`   what both graphs have in common
`plain_graph`    the layers as published
`fast_graph`     the same function, made for a CPU
`operators`      operators of which Starmill has kernels, with functions for everyone else
`joined`         ensembles of different labels as one graph
`folder`         the model folder that the program runs, with `card_tables` and `recipe_golden`
`speed`          the graphs side by side
`velocity_templates`  what the program measures radial velocities against
`published`      weights of the published code, read without running its pickles
`importing`      a model folder from such weights
`compare`        the comparisons of the paper
`evaluate`       figures on held-out spectra
`pipeline`       the steps from the grid to the graph, and `cli` its command line
"""
