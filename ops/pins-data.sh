# shellcheck shell=bash
# shellcheck disable=SC2034  # read by the scripts that source this file
# The one download that is data: ten LAMOST spectra, inside a source package of the Python index.
# The archive is checked against this digest, opened as an archive and never installed or run;
# ops/spectra.sha256 lists what is taken out of it.
SPECTRA_PACKAGE=laspec
SPECTRA_ARCHIVE=laspec-2021.605.2.tar.gz
SPECTRA_ARCHIVE_SHA256=7a4a3157633a2abc73e22bfbe2fe05206eb3c319a4185d4cb0373671184ecbec
SPECTRA_ARCHIVE_SIZE="37 MB"
