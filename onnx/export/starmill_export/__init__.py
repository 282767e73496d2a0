"""Training, export and evaluation of the models shipped with Starmill.

The package `rrnet` is RRNet and SPEMR, `payne` the models from labels to spectra, `gaia_xp`
FCResNet on Gaia's spectra, `table1` the methods that FCResNet is compared with; `imported` makes
model folders of published weights. The modules of FCResNet in the order data meets them:

`fetch`         pinned archives, hash-checked and opened, never installed
`pickles`       unpickling behind an allow-list
`bossbrain`     normalised spectra of giants
`dwarfs`        those of the main sequence: nodes, and an emulator between them
`atmosphere`    model atmospheres, and `synspec` the continua computed through them
`continuum`     the polynomials that stand for those continua
`stars`         the spectra of giants and dwarfs, joined, and `sampling` the labels of both
`instrument`    what lies between a star and a file of the survey
`training_set`  spectra as LAMOST would have delivered them
`prepare`       the recipe of the manifest, one spectrum at a time: the reference
`network`       the net, its gradient and the Adam step
`train`         the paper's schedule
`novelty`       how unlike the training inputs a spectrum is, and `mixture` for stars of many kinds
`outsiders`     spectra that it is to tell apart
`weighting`     which mean of a bin's pixels serves
`graph`         the ONNX file
`ensembles`     several nets: errors and their covariance, and `ensemble_graph` the ONNX file
`golden`        reference values for other implementations
`lamost`        reader of the three LRS file layouts
`evaluate`      figures on real spectra, and `findings` all of them
`card`          the model card, and `card_real` its section on real spectra
`manifest`      the contract with the Rust crate
`pipeline`      the whole chain, and `cli` its command line

For spectra of two arms, of medium resolution:

`mrs_prepare`   their recipe, one spectrum at a time: the reference
`mrs_golden`    what each of its steps gives, for other implementations
"""
