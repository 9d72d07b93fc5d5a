// SPDX-License-Identifier: MIT
/* See typing_full.h. Nothing is changed but the model's size. */
#include "tests/host/typing_full.h"
#include "xen/typing.c"
