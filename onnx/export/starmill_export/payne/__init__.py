"""The Payne: nets from labels to normalised flux, trained with a prior on their gradients.

Ting et al. 2017, Measuring 14 Elemental Abundances with R = 1800 LAMOST Spectra. The modules in the
order data meets them:

`labels`     what the manifest says of each label, and the coordinates that training uses
`smoothing`  spectra at another resolving power, and the normalisation of the paper
`giants`     giants at R = 1800, normalised: `payne` learns from them
`arms`       the medium-resolution windows at R = 7500: `payne-mrs` learns from them
`net`        the nets, and the reference forward pass with its Jacobian
`prior`      theoretical gradient spectra, and what a departure from them costs
`fit`        training, with checkpoints
`compare`    figure 3 of the paper, and one hidden layer for all pixels against one for each
`graph`      the ONNX file: flux and Jacobian
`folder`     the model folder that the program runs, and `card` its model card
`pipeline`   the whole chain, and `cli` its command line
"""
