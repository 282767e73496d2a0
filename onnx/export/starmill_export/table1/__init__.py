"""The FCResNet paper's Table 1 on one machine, on synthetic LRS spectra and on real XP spectra.

`data`     the two sets of spectra, each split 60/20/20
`methods`  neighbours, boosted trees and support vectors
`cnn`      the paper's convolutional net
`nets`     both nets trained, and as model folders that Starmill runs
`cli`      fits what is missing, each method on its own
`report`   the table, beside the paper's
"""
