// SPDX-License-Identifier: MIT
#include "tests/hostile/hostile.h"

void races_init(void)
{
}
