"""Published forward models as model folders, read without running what a file says.

In the order of the work: `payne_npz`, `giants` and `cannon` read one published layout each and make
a `folder.Imported` of it; `nets` and `polynomial` evaluate what was read, in float64 and with numpy
alone; `graphs` is the same as ONNX with the Jacobian written out; `label_table` knows names and
units; `folder` writes graph, wavelengths, golden spectra, card and manifest. Nothing is trained or
fitted. RRNet's and SPEMR's state_dicts are read by `rrnet/published.py` and `rrnet/importing.py`;
`cli` is one command for all of them.
"""
