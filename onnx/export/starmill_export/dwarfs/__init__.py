"""Spectra of the main sequence at low resolution, where bossbrain has none.

`nodes`     SYNSPEC54 spectra of dwarfs and subgiants
`emulator`  spectra between them
"""
