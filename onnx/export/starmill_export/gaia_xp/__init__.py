"""fcresnet-xp: FCResNet on Gaia XP sampled spectra with the labels of APOGEE, all of them real.

The modules in the order data meets them:

`table`     the spectra and labels, prepared, and which star serves what
`training`  the members of the ensemble, each resumable, and the errors
`measure`   precision, coverage and novelty on the test stars, beside a baseline
`card`      the model card
`folder`    the model folder with its manifest
`cli`       the one command
"""
