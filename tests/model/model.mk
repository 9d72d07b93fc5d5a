# SPDX-License-Identifier: MIT
#
# The Spin models (README.md). What Spin makes of them lies in $(O)/model.

.PHONY: test-model model-full
test-model: | try-everything ## the protocols as Spin models, and bugs that they must see
	@$(SUITE) model

model-full: | need-model ## larger runs of the models: minutes, not seconds
	@$(PYTHON) tests/model/model.py --build $(O)/model --full
