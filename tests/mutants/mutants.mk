# SPDX-License-Identifier: MIT
#
# Mutation tests (tests/mutants/mutants.py). By hand: they take longer than all other tests.
#
#   MUTANTS='...'      arguments: named or plain, --only GLOB, --world W, --list; --help tells all

MUTANTS ?=
export MUTANTS

.PHONY: mutants
mutants: xen-dom0 | try-everything ## put bugs into the sources; each must be found (20 min)
	@$(PYTHON) tests/mutants/mutants.py --build $(O) --jobs $(JOBS) $$MUTANTS
